"""A vehicle that missed blocks gets them, whoever lies or keeps silent, and asks sparingly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bift_ros.admission.answers import HEADERS_PER_ANSWER
from bift_ros.consensus.blocks import Block, SignedHeader
from bift_ros.consensus.payloads import ModelUpdate, Transfer
from bift_ros.consensus.state import State
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import RequestBlocks, RequestHeaders, Train
from bift_ros.peer.events import BlocksAnswered, Event, HeadersAnswered, TipReceived
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of
from world.fleet import DELAY_MS, Fleet

CHECKER = PeerConfig(mine=False, train=False)


def transfers(world: LearningConsortium, state: State, count: int, *, to: int) -> list[Block]:
    """A plain chain on `state`, in which one who owns something gives away a unit per block."""
    blocks = []
    for _ in range(count):
        giver = next(i for i in range(len(world.keys)) if state.balances[world.address(i)] > 1)
        receiver = to if giver != to else (to + 1) % len(world.keys)
        gift = world.sign(giver, Transfer(world.address(receiver), 1), state)
        blocks.append(world.block(state, [gift], miner=to))
        state = world.apply(state, blocks[-1])
    return blocks


def tip(world: LearningConsortium, member: int, state: State, block: Block) -> TipReceived:
    weight = state.learning_weight
    return world.tip(member, block.header.height, block.hash, weight)


def test_a_vehicle_that_was_off_reaches_the_tip_and_trains_on() -> None:
    fleet = Fleet(5)
    fleet.propose(total_iter=5)
    fleet.run_until(lambda: fleet.all_reach(1))
    fleet[4].crash()
    fleet.run_until(lambda: fleet.all_reach(3))
    fleet[4].boot()
    fleet.introduce(fleet[4])
    fleet.run_until(lambda: fleet.all_reach(5))
    assert len(fleet[4].effects(RequestBlocks)) <= 6
    assert fleet[4].state.balances[fleet[4].address] > 0


def test_a_fresh_vehicle_reads_a_finished_chain() -> None:
    fleet = Fleet(4)
    fleet[3].crash()
    fleet.propose(total_iter=4)
    fleet.run_until(lambda: fleet.all_reach(4))
    fleet[3].boot()
    fleet.introduce(fleet[3])
    fleet.run_until(lambda: fleet.all_reach(4), 20_000)
    assert len(fleet[3].effects(RequestBlocks)) <= 3


@pytest.mark.parametrize("behaviour", ["nothing", "silent", "garbage", "old", "bodiless", "off"])
def test_a_vehicle_that_does_not_help_is_passed_over(behaviour: str) -> None:
    """Two of four lie about a tip far ahead; each is tried, then an honest one."""
    fleet = Fleet(5)
    fleet[4].crash()
    fleet.propose(total_iter=3)
    fleet.run_until(lambda: fleet.all_reach(3))
    world = fleet.world
    strange = replace(world.start, tip_hash=b"s" * 32, height=7)
    garbage = [world.block(strange, [world.sign(0, world.proposal())], miner=0)]
    bodiless = headers_without_bodies(world, 20)
    for liar in fleet.vehicles[:2]:
        liar.give_headers = {
            "nothing": lambda start: [],
            "silent": lambda start: None,
            "garbage": lambda start: [block.signed_header for block in garbage],
            "old": lambda start: fleet[2].chain.canonical_headers(1, 1),
            "bodiless": lambda start: bodiless,
            "off": liar.honest_headers,
        }[behaviour]
        liar.give_blocks = lambda hashes: []
        liar.online = behaviour != "off"
    fleet[4].boot()
    for liar in fleet.vehicles[:2]:
        fleet[4].take(
            world.tip(liar.number, 10**6, b"x" * 32, 10**9, liar.url, stamp=fleet.now + 10**9)
        )
    for honest in fleet.vehicles[2:4]:
        honest.greet(fleet[4])
    fleet.run_until(lambda: fleet[4].state.tip_hash == fleet[2].state.tip_hash, 60_000)
    before = len(fleet[4].effects(RequestHeaders))
    fleet.run(320_000)  # the liars' tips are never had; they are not asked all the time
    assert len(fleet[4].effects(RequestHeaders)) - before <= 2 * 2 * (320 // 16 + 5)


@pytest.mark.parametrize("depth", [3, 12, 40, 100])
def test_a_deep_fork_is_bridged(depth: int) -> None:
    """The peer stands `depth` blocks up a branch that a heavier one as long has outdone."""
    world = LearningConsortium(3)
    task = world.task_block(total_iter=3)
    state = world.apply(world.start, task)
    first = world.model_block(state, world.updates(range(3), state))
    after = world.apply(state, first)
    ours = transfers(world, after, depth, to=0)
    theirs = transfers(world, after, depth, to=1)
    end = world.apply(after, *theirs)
    theirs.append(world.model_block(end, world.updates(range(2), end)))
    end = world.apply(end, theirs[-1])
    chain = [task, first, *theirs]

    peer = PeerDriver(world, 2, CHECKER)
    peer.now += 10_000_000
    peer.block(task, first, *ours)
    assert peer.state.height == depth + 2
    effects = peer.send(tip(world, 1, end, chain[-1]))
    asked = 0
    for _ in range(1_000):
        for request in of(RequestHeaders, effects):
            asked += 1
            above = chain[request.from_height - 1 :][:HEADERS_PER_ANSWER]
            headers = tuple(block.signed_header for block in above)
            effects = peer.send(HeadersAnswered(request.peer, headers))
            break
        else:
            for request in of(RequestBlocks, effects):
                asked += 1
                effects = peer.block(*(b for b in chain if b.hash in request.hashes))
                effects += peer.send(BlocksAnswered(request.peer))
                break
            else:
                effects = peer.wait(250)
        if peer.state.tip_hash == chain[-1].hash:
            break
    assert peer.state.tip_hash == chain[-1].hash
    assert asked <= 12


def headers_without_bodies(world: LearningConsortium, count: int) -> list[SignedHeader]:
    """A chain of true headers by a member whose blocks nobody will ever see."""
    headers, state = [], world.start
    for _ in range(count):
        header = world.block(state, [world.sign(0, world.proposal())], miner=0).signed_header
        headers.append(header)
        state = replace(state, height=state.height + 1, tip_hash=header.header.hash)
    return headers


def test_several_are_asked_at_a_time_and_a_silent_one_stalls_nobody() -> None:
    world = LearningConsortium(7)
    peer = PeerDriver(world, 6, CHECKER)
    for member in range(6):
        peer.send(world.tip(member, 5, bytes([member]) * 32, 5))
    asked = of(RequestHeaders, peer.wait(CHECKER.fetch_retry_ms + 250))
    assert len({request.peer for request in asked}) == len(asked) == 4
    # One answers with nothing: another is asked in its place.
    (other,) = of(RequestHeaders, peer.send(HeadersAnswered(asked[0].peer, ())))
    assert other.peer not in {request.peer for request in asked}
    # Those that never answer are given up, and the one that is left gets its turn.
    later = of(RequestHeaders, peer.wait(CHECKER.request_timeout_ms))
    assert len({r.peer for r in (*asked, other, *later)}) == 6


def test_bodies_come_from_several_vehicles() -> None:
    """One gives headers only; those who showed the same headers give the bodies."""
    world = LearningConsortium(3)
    task = world.task_block(total_iter=3)
    after = world.apply(world.start, task)
    chain = [task, world.model_block(after, world.updates(range(3), after))]
    headers = tuple(block.signed_header for block in chain)
    peer = PeerDriver(world, 2, CHECKER)
    for member in (0, 1):
        peer.send(world.tip(member, 2, chain[-1].hash, 3))
    requests = of(RequestHeaders, peer.wait(CHECKER.fetch_retry_ms + 250))
    assert {r.peer for r in requests} == {world.address(0), world.address(1)}
    (first,) = of(RequestBlocks, peer.send(HeadersAnswered(world.address(0), headers)))
    peer.send(HeadersAnswered(world.address(1), headers))
    (second,) = of(RequestBlocks, peer.send(BlocksAnswered(first.peer)))
    assert (first.peer, second.peer) == (world.address(0), world.address(1))
    assert first.hashes == second.hashes == tuple(block.hash for block in chain)
    peer.block(*chain)
    peer.send(BlocksAnswered(second.peer))
    assert peer.state.tip_hash == chain[-1].hash
    assert peer.peer.wanted_blocks == 0


def test_nobody_is_asked_when_a_tip_message_overtakes_its_block() -> None:
    fleet = Fleet(4)

    def tips_first(sender: object, receiver: object, event: Event) -> int:
        return 5 if isinstance(event, TipReceived) else 10 * DELAY_MS

    fleet.link = tips_first
    fleet.propose(total_iter=3)
    fleet.run_until(lambda: fleet.all_reach(3))
    assert [len(v.effects(RequestHeaders)) for v in fleet.vehicles] == [0, 0, 0, 0]


def test_a_lost_block_is_asked_for() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 3, CHECKER)
    task = world.task_block()
    state = world.apply(world.start, task)
    peer.block(world.model_block(state, world.updates(range(4), state), miner=2))
    (request,) = of(RequestHeaders, peer.wait(2_000))
    assert request == RequestHeaders(world.address(2), 1)
    (bodies,) = of(RequestBlocks, peer.send(HeadersAnswered(request.peer, (task.signed_header,))))
    assert bodies == RequestBlocks(world.address(2), (task.hash,))
    peer.block(task)
    peer.send(BlocksAnswered(request.peer))
    assert peer.state.height == 2
    assert of(RequestHeaders, peer.wait(60_000)) == []


def test_a_tip_that_changes_fast_does_not_put_the_question_off() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 3, CHECKER)
    asked = []
    for height in range(10):
        peer.send(world.tip(0, height, bytes([height + 1]) * 32, height, stamp=height))
        asked += of(RequestHeaders, peer.wait(CHECKER.fetch_retry_ms - 250))
    assert asked != []


def test_a_restarted_vehicle_resumes_the_round() -> None:
    fleet = Fleet(4)
    fleet.propose(total_iter=3)
    fleet.run_until(lambda: fleet.all_reach(1))
    fleet.run_until(lambda: any(t.request.iteration == 2 for t in fleet[2].effects(Train)))
    before = fleet[2].state
    fleet[2].crash()
    fleet[2].boot()
    assert fleet[2].state == before
    fleet.introduce(fleet[2])
    fleet.run_until(lambda: fleet.all_reach(3))
    again = [t for t in fleet[2].effects(Train) if t.request.iteration == 2]
    assert len(again) == 2


def test_a_training_that_was_finished_is_not_done_again_after_a_restart() -> None:
    """Between commit and reveal: the vehicle reveals what it has committed to."""
    fleet = Fleet(4, mode="bift")
    fleet.propose(total_iter=3)
    fleet.run_until(lambda: fleet.all_reach(1))

    def committed() -> bool:
        task = fleet[2].state.task
        return task is not None and task.current_iter == 1 and task.committed_at is not None

    fleet.run_until(committed)
    fleet[2].crash()
    fleet[2].boot()
    fleet.introduce(fleet[2])
    fleet.run_until(lambda: fleet.all_reach(2))
    assert len([t for t in fleet[2].effects(Train) if t.request.iteration == 2]) == 1
    blocks = fleet[0].chain.canonical(1, 100)
    revealed = [
        t.payload.iteration
        for block in blocks
        for t in block.body.transactions
        if isinstance(t.payload, ModelUpdate) and t.sender == fleet[2].address
    ]
    assert revealed[:2] == [1, 2]


def test_the_whole_fleet_restarts() -> None:
    fleet = Fleet(4)
    fleet.propose(total_iter=3)
    fleet.run_until(lambda: fleet.all_reach(1))
    for vehicle in fleet.vehicles:
        vehicle.crash()
    fleet.run(5_000)
    for vehicle in fleet.vehicles:
        vehicle.boot()
    fleet.heal()
    fleet.run_until(lambda: fleet.all_reach(3))
