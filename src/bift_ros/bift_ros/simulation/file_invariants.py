"""What must hold of files: which are fetched, where they are asked for, and what they fill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from bift_ros.chain.encryption import OVERHEAD
from bift_ros.peer.effects import Fetch
from bift_ros.peer.holdings import MAXIMUM_FILES
from bift_ros.simulation.byzantine_vehicle import FORGED_URL
from bift_ros.simulation.vehicle import Environment, Vehicle
from bift_ros.simulation.world import INITIAL_MODEL

_NEEDED = 4
"""Files of one member that blocks may need which are being checked, beside those it may hold."""
_MOST_FILES = MAXIMUM_FILES + _NEEDED
_MOST_BYTES = _MOST_FILES * (len(INITIAL_MODEL) + OVERHEAD)
"""No update of a task is as long as its model."""


class FileInvariants:
    """Watches what honest vehicles fetch and keep."""

    def __init__(self, fleet: Environment, broken: Callable[[str, Vehicle, str], None]) -> None:
        """`broken` is told of an invariant, the vehicle and what it did."""
        self._fleet, self._broken = fleet, broken

    def fetch(self, vehicle: Vehicle, effect: Fetch) -> None:
        """Check what an honest vehicle asks for."""
        if effect.cid in self._fleet.unnamed:
            self._broken("fetching", vehicle, f"fetches {effect.cid}, which no block names")
        if FORGED_URL in effect.providers:
            self._broken("fetching", vehicle, "asks at an address that its owner has not signed")

    def disk(self, vehicle: Vehicle) -> None:
        """Check what an honest vehicle has of each Byzantine one, the chain's files aside."""
        files: Counter[int] = Counter()
        sizes: Counter[int] = Counter()
        for cid, maker in self._fleet.byzantine_files.items():
            if cid in vehicle.files and cid not in vehicle.named:
                files[maker] += 1
                sizes[maker] += len(vehicle.files[cid])
        for maker, count in files.items():
            if count > _MOST_FILES or sizes[maker] > _MOST_BYTES:
                has = f"{count} files with {sizes[maker]} bytes of vehicle {maker}"
                self._broken("disk", vehicle, f"has {has} that its chain does not name")
