"""Work on n long rows in blocks of columns that fit a core's cache, on every core.

Each parameter is aggregated on its own, and distances are sums over parameters. So threads may take
any share of the columns, in blocks of any width: the results are the same integers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

Result = TypeVar("Result")


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Blocking:
    """How to cut the work. It changes the speed and the memory, never the result."""

    threads: int = field(default_factory=_usable_cores)
    """Threads that work at once; by default the cores this process may use."""
    scratch_bytes: int = 1 << 23
    """What one thread's block may fill: a share of the last-level cache. Wider blocks miss it;
    narrower ones spend their time calling, and threads that call often wait for the GIL."""
    stripe_columns: int = 1 << 15
    """The fewest columns worth a thread of their own: starting threads costs about 1 ms."""

    def columns(self, size: int, bytes_per_column: int) -> int:
        """How many of ``size`` columns a block has, each needing so much scratch; at least 1."""
        columns = max(1, min(self._stripe(size), self.scratch_bytes // bytes_per_column))
        # Whole cache lines even at 2 bytes a value: no vector of a later row straddles two.
        return columns - columns % 32 if columns > 32 else columns

    def map(
        self, size: int, columns: int, work: Callable[[Iterator[slice]], Result]
    ) -> list[Result]:
        """Cut columns 0..size into one stripe a thread, call ``work`` once for each.

        ``work`` gets its stripe's blocks, so that it allocates scratch once for all of them. One
        stripe is done in the calling thread.
        """
        width = self._stripe(size)
        stripes = [
            _blocks(start, min(start + width, size), columns) for start in range(0, size, width)
        ]
        if len(stripes) == 1:
            return [work(stripes[0])]
        with ThreadPoolExecutor(len(stripes)) as pool:
            return list(pool.map(work, stripes))

    def _stripe(self, size: int) -> int:
        """How many columns a thread gets."""
        threads = max(1, min(self.threads, size // self.stripe_columns))
        return -(-size // threads)


def _blocks(start: int, stop: int, columns: int) -> Iterator[slice]:
    for left in range(start, stop, columns):
        yield slice(left, min(left + columns, stop))
