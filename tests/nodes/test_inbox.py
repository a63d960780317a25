"""What waits for the peer: bounded, each kind and each member in turn."""

from __future__ import annotations

import threading

import pytest

from bift_ros.nodes.vehicle.inbox import ROOMS, FairQueue, Inbox, Room
from bift_ros.peer.events import BlockReceived, Event, TipReceived, TransactionReceived
from world.consortium import Consortium

WORLD = Consortium(3)
TX = WORLD.sign(0, WORLD.proposal())
HEARD = TransactionReceived(TX)
MINED = BlockReceived(WORLD.task_block())
TIPS = [WORLD.tip(0, height, bytes(32), 1, stamp=height) for height in range(1, 4)]


def drained(queue: FairQueue | Inbox) -> list[Event]:
    return list(iter(queue.take, None))


def test_members_take_turns() -> None:
    queue = FairQueue(Room(10, 100))
    for tip in TIPS:
        queue.put("a", tip)
    queue.put("b", HEARD)
    assert drained(queue) == [TIPS[0], HEARD, TIPS[1], TIPS[2]]
    assert len(queue) == 0


def test_of_one_member_the_newest_wait() -> None:
    queue = FairQueue(Room(2, 100))
    for tip in TIPS:
        queue.put("a", tip)
    assert drained(queue) == TIPS[1:]


def test_where_all_is_full_the_loudest_loses() -> None:
    queue = FairQueue(Room(10, 3))
    for tip in TIPS:
        queue.put("a", tip)
    queue.put("b", HEARD)
    assert len(queue) == 3
    assert drained(queue) == [TIPS[0], HEARD, TIPS[1]]


def test_one_members_blocks_drive_out_no_other_members() -> None:
    room = ROOMS[BlockReceived]
    for loud_first in (True, False):
        queue = FairQueue(room)
        others = [str(number) for number in range(room.in_all - 1)]
        for member in ["loud"] * 200 + others if loud_first else others + ["loud"] * 200:
            queue.put(member, MINED if member == "loud" else TIPS[0])
        assert len(queue) == room.in_all
        assert drained(queue).count(TIPS[0]) == len(others)


def test_kinds_take_turns() -> None:
    inbox = Inbox(lambda: None)
    for number in range(1000):
        inbox.put(str(number), HEARD)
    inbox.put("a", MINED)
    inbox.put("a", TIPS[0])
    assert {type(inbox.take()) for _ in range(3)} == set(ROOMS)


def test_only_the_newest_tip_of_a_member_waits() -> None:
    inbox = Inbox(lambda: None)
    for tip in TIPS:
        inbox.put("a", tip)
    assert drained(inbox) == [TIPS[-1]]


@pytest.mark.parametrize("kind", ROOMS)
def test_a_flood_of_many_members_is_bounded(kind: type[Event]) -> None:
    event = {TransactionReceived: HEARD, BlockReceived: MINED, TipReceived: TIPS[0]}[kind]
    inbox = Inbox(lambda: None)
    for number in range(10_000):
        inbox.put(str(number % 1000), event)
    assert len(drained(inbox)) == ROOMS[kind].in_all


def test_whoever_waits_is_woken_once_for_what_came() -> None:
    woken = []
    inbox = Inbox(lambda: woken.append(1))
    inbox.put("a", HEARD)
    inbox.put("b", MINED)
    assert len(woken) == 1
    drained(inbox)
    inbox.put("a", HEARD)
    assert len(woken) == 2


def test_nothing_is_lost_between_threads() -> None:
    inbox, there = Inbox(lambda: ready.set()), 0
    ready = threading.Event()

    def put(member: str) -> None:
        for _ in range(200):
            inbox.put(member, HEARD)

    threads = [threading.Thread(target=put, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    while there < 800:
        assert ready.wait(60)
        ready.clear()
        there += len(drained(inbox))
    for thread in threads:
        thread.join()
    assert inbox.take() is None
