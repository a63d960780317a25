"""Which blocks an observer lacks, and whom to ask for them: few at a time, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bift_ros.history.tree import MAX_BLOCKS
from bift_ros.monitoring.view import FleetView

BLOCKS_PER_QUESTION = 16
PATIENCE_SECONDS = 2.0
"""A block that is missing for a shorter time is probably on its way."""
_PAUSE_SECONDS = 2.0
_MAXIMUM_PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class Gap:
    """Consecutive blocks to ask for."""

    vehicle: str
    """Name of a vehicle that should have them: it stands on their branch."""
    first: int
    """Height of the lowest."""
    count: int


class Gaps:
    """Finds the next question, and learns from the answers whom not to ask for a while.

    Every branch on which a vehicle stands is completed down to block 1, the head's before others.
    """

    def __init__(self, view: FleetView) -> None:
        self._view = view
        self._whole: set[str] = set()
        self._since: dict[str, float] = {}
        self._vain: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def next(self, now: float) -> Gap | None:
        """What to ask at `now`, in seconds; None if nothing is missing or nobody is to be asked."""
        if len(self._view.chain.blocks) >= MAX_BLOCKS // 2:
            return None  # more would push out what is newer
        stands = dict(self._stands())
        missing = {tip: above for tip, above in stands.items() if above > 1}
        self._since = {tip: self._since.get(tip, now) for tip in missing}
        for tip, above in missing.items():
            if now - self._since[tip] < PATIENCE_SECONDS:
                continue
            for vehicle in self._view.vehicles.values():
                if vehicle.tip_hash == tip and now >= self._until.get(vehicle.name, 0.0):
                    first = max(1, above - BLOCKS_PER_QUESTION)
                    return Gap(vehicle.name, first, above - first)
        return None

    def answered(self, gap: Gap, new: int, now: float) -> None:
        """A vehicle gave so many blocks that were new: with none it is left alone for a while."""
        if new:
            self._vain.pop(gap.vehicle, None)
            return
        vain = self._vain[gap.vehicle] = self._vain.get(gap.vehicle, 0) + 1
        self._until[gap.vehicle] = now + min(_PAUSE_SECONDS * 2**vain, _MAXIMUM_PAUSE_SECONDS)

    def _stands(self) -> Iterator[tuple[str, int]]:
        """Each tip on which vehicles stand, and the height below which blocks are missing."""
        heights = {v.tip_hash: v.tip_height for v in self._view.vehicles.values() if v.tip_hash}
        head = self._view.head
        for tip in sorted(heights, key=lambda tip: tip != head):
            yield tip, self._lowest_known(tip, heights[tip] + 1)

    def _lowest_known(self, tip: str, unknown: int) -> int:
        lowest = unknown
        for block in self._view.chain.branch(tip):
            if block.hash in self._whole:
                lowest = 1
                break
            lowest = block.height
        if lowest == 1:
            self._whole.add(tip)
        return lowest
