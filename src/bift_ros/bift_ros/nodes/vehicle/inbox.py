"""What has been let in and waits for the peer, from the bus's thread to the peer's.

Each kind has a queue of its own and each member its place in it: whoever sends much waits behind
itself alone.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from bift_ros.peer.events import (
    BlockReceived,
    Event,
    TipReceived,
    TransactionReceived,
)


class Room(NamedTuple):
    """How much of a kind waits, at the most."""

    of_a_member: int
    in_all: int


ROOMS: dict[type[Event], Room] = {
    TransactionReceived: Room(256, 4096),
    BlockReceived: Room(16, 128),
    TipReceived: Room(1, 1000),
}


class FairQueue:
    """Takes turns between members; of one member what came first, or where it is full the newest.

    Where all is full, whoever has most waiting loses its newest.
    """

    def __init__(self, room: Room) -> None:
        self._room, self._size = room, 0
        self._waiting: OrderedDict[str, deque[Event]] = OrderedDict()

    def __len__(self) -> int:
        return self._size

    def put(self, member: str, event: Event) -> None:
        """Let an event of a member wait."""
        own = self._waiting.setdefault(member, deque())
        if len(own) >= self._room.of_a_member:
            own.popleft()
            self._size -= 1
        own.append(event)
        self._size += 1
        if self._size > self._room.in_all:
            most = max(self._waiting, key=lambda name: len(self._waiting[name]))
            self._waiting[most].pop()
            self._size -= 1
            self._forget_if_empty(most)

    def take(self) -> Event | None:
        """Give what is next, or None."""
        if not self._waiting:
            return None
        member = next(iter(self._waiting))
        event = self._waiting[member].popleft()
        self._size -= 1
        self._waiting.move_to_end(member)
        self._forget_if_empty(member)
        return event

    def _forget_if_empty(self, member: str) -> None:
        if not self._waiting[member]:
            del self._waiting[member]


class Inbox:
    """The queues of all kinds. Safe from any thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called, by whoever puts, where something waits that did not before."""
        self._wake, self._lock = wake, threading.Lock()
        self._queues = OrderedDict((kind, FairQueue(room)) for kind, room in ROOMS.items())

    def put(self, member: str, event: Event) -> None:
        """Let an event wait that comes from a member."""
        with self._lock:
            was_empty = not any(self._queues.values())
            self._queues[type(event)].put(member, event)
        if was_empty:
            self._wake()

    def take(self) -> Event | None:
        """Give what is next, the kinds in turn, or None where nothing waits."""
        with self._lock:
            for kind, queue in list(self._queues.items()):
                event = queue.take()
                if event is not None:
                    self._queues.move_to_end(kind)
                    return event
        return None
