"""One file that is being brought into a store, by whichever ways: its bounds and what has come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.interface import Progress
from bift_ros.storage.sources import Piece
from bift_ros.storage.unixfs import Part


class Tally:
    """What has come of one file, whichever way: `on_progress` is told, and who listens."""

    def __init__(self, on_progress: Progress) -> None:
        self._on_progress = on_progress
        self._mutex = threading.Lock()
        self._came: set[Piece] = set()
        self._here = self._size = 0
        self.listeners: list[Callable[[Piece], None]] = []
        """Told of the blocks that came from the swarm."""

    def expect(self, level: Sequence[Part]) -> None:
        """Take the file's size from the level of its chunks."""
        if level[0].cid.codec == RAW:
            self._size = sum(part.size or 0 for part in level)

    def came(self, piece: Piece) -> None:
        """Count a chunk, once."""
        with self._mutex:
            if piece.size is None or piece in self._came:
                return
            self._came.add(piece)
            self._here += piece.size
            here = self._here
        self._on_progress(here, self._size)


@dataclass(frozen=True)
class Errand:
    """A file to be brought, all ways of doing so sharing its bounds and its tally."""

    root: Cid
    providers: Sequence[str]
    """Gateways that may have it."""
    timeout: float
    """Seconds."""
    stalled: bool
    """Whether they are the longest without anything new, instead of the longest in all."""
    max_size: int
    """Of the file, in bytes."""
    tally: Tally
    _began: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        """How long the next step may take."""
        if self.stalled:
            return self.timeout
        return max(0.1, self.timeout - (time.monotonic() - self._began))
