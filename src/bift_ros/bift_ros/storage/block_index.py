"""Where each block of a store lies on disk: by its hash, in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from bift_ros.storage.cidv1 import Cid


class Place(NamedTuple):
    """Where a block lies on disk."""

    root: Cid
    folder: str
    """`files` or `trees`."""
    offset: int
    size: int


class BlockIndex:
    """Every place of every block; a file counts once, however often it repeats a block.

    Looking up is safe from any thread, changes are to be made by one at a time.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, tuple[Place, ...]] = {}

    def __contains__(self, digest: object) -> bool:
        return digest in self._places

    def places(self, digest: bytes) -> tuple[Place, ...]:
        """The places of the block with this SHA-256."""
        return self._places.get(digest, ())

    def add(self, digest: bytes, place: Place) -> bool:
        """Note a place; False where the file already has one for this block."""
        places = self.places(digest)
        if any(other.root == place.root for other in places):
            return False
        self._places[digest] = (*places, place)
        return True

    def remove(self, digests: Iterable[bytes], root: Cid) -> None:
        """Forget the places that blocks have in one file."""
        for digest in digests:
            others = tuple(p for p in self.places(digest) if p.root != root)
            if others:
                self._places[digest] = others
            else:
                self._places.pop(digest, None)
