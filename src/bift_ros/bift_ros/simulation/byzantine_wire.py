"""A vehicle that publishes bytes: forged, oversized, replayed, cut, and in others' names."""

from __future__ import annotations

import random

from bift_ros.consensus.blocks import MAX_BLOCK_BYTES
from bift_ros.consensus.encoding import encode
from bift_ros.identity.keys import SIGNATURE_BYTES
from bift_ros.peer.events import BlockReceived, Event, TipReceived, TransactionReceived
from bift_ros.simulation.byzantine_vehicle import Byzantine
from bift_ros.simulation.vehicle import Environment
from bift_ros.simulation.wire import Published, cdr, published

_A_TICK = 60
_KEPT = 500
_TOPICS: tuple[type[Event], ...] = (TransactionReceived, BlockReceived, TipReceived)


class WireFlooder(Byzantine):
    """At each tick publishes dozens of messages of every topic that no gate should let in."""

    def __init__(self, fleet: Environment, number: int, rng: random.Random) -> None:
        super().__init__(fleet, number, rng)
        self._heard: list[Published] = []

    def heard(self, event: Event) -> None:
        """Keep what others say, to say it again."""
        said = published(event)
        if isinstance(said, Published) and len(self._heard) < _KEPT:
            self._heard.append(said)

    def act(self) -> None:
        """Publish."""
        for _ in range(_A_TICK):
            self.tell(self._message())

    def _message(self) -> Published:
        rng = self.rng
        topic, kind = rng.choice(_TOPICS), rng.randrange(5)
        if self._heard and kind <= 2:
            said = rng.choice(self._heard)
            if kind == 0:
                return said
            changed = bytearray(said.message)
            if kind == 1:
                del changed[rng.randrange(len(changed)) :]
            else:
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            return Published(said.topic, bytes(changed))
        if kind == 3:
            return Published(topic, cdr(bytes(MAX_BLOCK_BYTES * 4)))
        forged = [self.another().address, 1, rng.randbytes(100), rng.randbytes(SIGNATURE_BYTES)]
        return Published(TransactionReceived, cdr(encode(forged)))
