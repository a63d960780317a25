"""How a vehicle behaves towards the others: an honest one does what its peer says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bift_ros.consensus.blocks import Block, SignedHeader
from bift_ros.peer.catch_up import BLOCKS_PER_ANSWER, HEADERS_PER_ANSWER
from bift_ros.peer.effects import Effect, TrainingRequest
from bift_ros.peer.events import Event
from bift_ros.simulation.world import train

if TYPE_CHECKING:
    from bift_ros.simulation.vehicle import Vehicle


class Conduct:
    """The honest conduct; a kind of liar overrides what it lies about."""

    hash_power = 1.0
    """How many times an ordinary vehicle's hashes it makes in a second."""

    def __init__(self, vehicle: Vehicle) -> None:
        self.vehicle = vehicle

    def heard(self, event: Event) -> None:
        """Take note of what came in."""

    def effects(self, effect: Effect) -> Sequence[Effect]:
        """What is done in place of an effect of the peer's."""
        return (effect,)

    def broadcast(self, event: Event) -> None:
        """Send what is meant for everybody."""
        self.vehicle.tell(event)

    def act(self) -> None:
        """Do something unasked, once a second."""

    def update(self, request: TrainingRequest) -> bytes:
        """Train."""
        vehicle = self.vehicle
        base = vehicle.peer.decrypt(vehicle.files[request.base_cid])
        return train(base, vehicle.number, request.iteration, vehicle.fleet.seed)

    def headers(self, asker: Vehicle, from_height: int) -> Sequence[SignedHeader]:
        """Answer a request for headers."""
        return self.vehicle.chain.canonical_headers(from_height, HEADERS_PER_ANSWER)

    def blocks(self, asker: Vehicle, hashes: Sequence[bytes]) -> Sequence[Block]:
        """Answer a request for blocks."""
        found = (self.vehicle.chain.block(name) for name in hashes[:BLOCKS_PER_ANSWER])
        return [block for block in found if block is not None]

    def file(self, asker: Vehicle, cid: str) -> bytes | None:
        """Answer a request for a file."""
        return self.vehicle.files.get(cid)
