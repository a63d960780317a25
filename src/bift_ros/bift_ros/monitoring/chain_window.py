"""The newest part of the chain and the forks beside it, each block with its place."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

from bift_ros.monitoring.sightings import BlockSeen
from bift_ros.monitoring.view import FleetView

LENGTH = 40
"""Blocks of the chain that are shown."""
MAX_LANES = 5
"""Rows of blocks, the chain's own among them: anybody may publish forks."""
AHEAD = 3
"""Blocks of other branches that are shown above the chain's head."""


class Place(NamedTuple):
    """A column and a row."""

    height: int
    lane: int
    """0 for the chain, 1 and more for forks."""


class ChainWindow:
    """A view's chain as it is now."""

    def __init__(self, view: FleetView) -> None:
        self._chain = view.chain
        self._head = view.head
        branch = list(islice(view.chain.branch(self._head), LENGTH))
        self._branch = {block.hash for block in branch}
        self._lowest = branch[-1].height if branch else 0
        self.highest = branch[0].height if branch else 0
        """Height of the chain's head."""
        self.places: Mapping[str, Place] = {b.hash: Place(b.height, 0) for b in branch[::-1]}
        """Where each block stands that is shown, by hash."""
        self.hidden = 0
        """Forks' blocks for which there was no row left."""
        if branch:
            self._place_forks()

    def is_forked(self, tip: str) -> bool:
        """Tell whether a vehicle's tip is beside the chain, as far as the window shows it."""
        block = self._chain.blocks.get(tip)
        if block is None or tip in self._branch or block.height < self._lowest:
            return False
        return not self._chain.contains(self._head, tip)

    def block(self, name: str) -> BlockSeen:
        """One of those that have a place."""
        return self._chain.blocks[name]

    def _place_forks(self) -> None:
        places, taken = dict(self.places), set(self.places.values())
        for height in range(self._lowest, self.highest + AHEAD + 1):
            for block in self._chain.at(height):
                if block.hash in self._branch:
                    continue
                parent = places.get(block.previous_hash)
                lanes = list(range(1, MAX_LANES))
                if parent is not None and parent.lane:
                    lanes.insert(0, parent.lane)
                free = (Place(height, n) for n in lanes if Place(height, n) not in taken)
                place = next(free, None)
                if place is None:
                    self.hidden += 1
                    continue
                places[block.hash] = place
                taken.add(place)
        self.places = places
