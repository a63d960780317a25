"""Ranges of a file's bytes: which have come, and how one vehicle tells another."""

from __future__ import annotations

import re
import threading
from bisect import bisect_left, bisect_right

AVAILABLE = "Available-Ranges"
"""Header by which a vehicle that is still fetching a file says what it has of it (`ByteRanges`)."""
MAX_RANGES = 256
"""Ranges that one text tells of."""

_RANGE = re.compile(r"(\d{1,15})-(\d{1,15})")


class ByteRanges:
    """Bytes of a file, as ranges in its order that do not touch. Thread-safe."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._starts: list[int] = []
        self._stops: list[int] = []

    def add(self, start: int, stop: int) -> None:
        """Add the bytes from `start` up to `stop`, which join what they touch."""
        with self._mutex:
            first = bisect_left(self._stops, start)
            end = bisect_right(self._starts, stop)
            if first < end:
                start = min(start, self._starts[first])
                stop = max(stop, self._stops[end - 1])
            self._starts[first:end] = [start]
            self._stops[first:end] = [stop]

    def cover(self, start: int, stop: int) -> bool:
        """Whether all bytes from `start` up to `stop` are in it."""
        with self._mutex:
            at = bisect_right(self._starts, start) - 1
            return at >= 0 and self._stops[at] >= stop

    def __str__(self) -> str:
        """`bytes=0-499,1000-1499`, as HTTP writes a Range; `bytes=` for none."""
        with self._mutex:
            pairs = list(zip(self._starts[:MAX_RANGES], self._stops, strict=False))
        return "bytes=" + ",".join(f"{start}-{stop - 1}" for start, stop in pairs)

    @classmethod
    def parse(cls, text: str | None) -> ByteRanges | None:
        """Read what `str` writes, from anyone; None for what says nothing about ranges."""
        if text is None or not text.startswith("bytes="):
            return None
        ranges = cls()
        for part in text[6:].split(",", MAX_RANGES)[:MAX_RANGES]:
            match = _RANGE.fullmatch(part)
            if match and int(match[1]) <= int(match[2]):
                ranges.add(int(match[1]), int(match[2]) + 1)
        return ranges
