"""The radio between the vehicles: delays, losses and partitions, all drawn from the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

from bift_ros.peer.events import (
    BlockReceived,
    Event,
    HeadersAnswered,
    SnapshotAnswered,
    TipReceived,
    TransactionReceived,
)
from bift_ros.simulation.event_queue import EventQueue
from bift_ros.simulation.wire import Published

_BASE_MS = 20
_GRAIN_MS = 20
_LATE_MS = (1_000, 8_000)
_ENVELOPE_BYTES = 64
"""What carries a message, and a request for something: roughly."""


class Node(Protocol):
    """Who sends and receives."""

    number: int

    def receive(self, event: Event) -> None:
        """Take a message."""


class Network:
    """Carries events. A message to many is queued once for each distinct delay."""

    def __init__(self, queue: EventQueue, rng: random.Random) -> None:
        self._queue, self._rng = queue, rng
        self.slow_ms = 0
        """Mean of the random delay added to each message; 0 while the radio is good."""
        self.loss = 0.0
        """The share of messages that get lost."""
        self.doubled = 0.0
        """The share of messages that come twice."""
        self.late = 0.0
        """The share that come seconds later, after what was sent later."""
        self.groups: dict[int, int] = {}
        """The side of a partition that each vehicle is on; empty where there is none."""
        self.messages = 0
        self.bytes = 0

    def delay(self, sender: Node, receiver: Node) -> int | None:
        """How long a message takes; None where it is lost."""
        if self.groups and self.groups[sender.number] != self.groups[receiver.number]:
            return None
        rng = self._rng
        if self.loss and rng.random() < self.loss:
            return None
        ms = _BASE_MS
        if self.late and rng.random() < self.late:
            ms += rng.randrange(*_LATE_MS, _GRAIN_MS)
        if self.slow_ms:
            ms += int(rng.expovariate(1 / self.slow_ms)) // _GRAIN_MS * _GRAIN_MS
        return ms

    def count(self, event: Event, times: int = 1) -> None:
        """Count a message that is sent."""
        self.messages += times
        self.bytes += size_of(event) * times

    def count_file(self, size: int) -> None:
        """Count a file that is sent, or with size 0 a request."""
        self.messages += 1
        self.bytes += _ENVELOPE_BYTES + size

    def send(self, sender: Node, receiver: Node, event: Event) -> None:
        """Deliver one message, maybe."""
        self.broadcast(sender, (receiver,), event)

    def broadcast(self, sender: Node, receivers: Sequence[Node], event: Event) -> None:
        """Deliver one message to many, to each after its own delay."""
        self.count(event, len(receivers))
        if not (self.slow_ms or self.loss or self.groups or self.doubled or self.late):
            self._queue.after(_BASE_MS, _deliver, receivers, event)
            return
        by_delay: dict[int, list[Node]] = {}
        for receiver in receivers:
            delay = self.delay(sender, receiver)
            if delay is not None:
                by_delay.setdefault(delay, []).append(receiver)
                if self.doubled and self._rng.random() < self.doubled:
                    again = delay + self._rng.randrange(0, _LATE_MS[1], _GRAIN_MS)
                    by_delay.setdefault(again, []).append(receiver)
        for delay, group in by_delay.items():
            self._queue.after(delay, _deliver, group, event)


def _deliver(receivers: Sequence[Node], event: Event) -> None:
    for receiver in receivers:
        receiver.receive(event)


def size_of(event: Event) -> int:
    """A message's size on the wire, by its canonical bytes."""
    match event:
        case TransactionReceived(transaction):
            return _ENVELOPE_BYTES + len(transaction.to_bytes())
        case BlockReceived(block):
            return _ENVELOPE_BYTES + len(block.to_bytes())
        case TipReceived(tip):
            return _ENVELOPE_BYTES + len(tip.to_bytes())
        case HeadersAnswered(_, headers, quorums):
            return _ENVELOPE_BYTES + sum(len(each.to_bytes()) for each in (*headers, *quorums))
        case SnapshotAnswered(_, certificate):
            return _ENVELOPE_BYTES + len(certificate)
        case Published(_, message):
            return _ENVELOPE_BYTES + len(message)
        case _:
            return _ENVELOPE_BYTES
