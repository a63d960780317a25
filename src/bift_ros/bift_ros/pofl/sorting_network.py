"""Sort or part-sort every column of a block at once, with a network of minima and maxima.

A sorting network compares the same pairs of rows whatever the data, so each step is one elementwise
minimum and one maximum over two whole rows, which NumPy runs at SIMD width on int16. The network is
Batcher's odd-even merge sort (Knuth, TAOCP vol. 3, 5.3.4).

A trimmed mean needs no full order: only that the lowest ``low`` rows and the highest ``high`` rows
hold the right values, in any order. `network` leaves out every step that can't matter for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bift_ros.pofl.codec import Int16Array


class Step(NamedTuple):
    """Put the smaller of two rows' values into row ``i``, the larger into row ``j`` (i < j)."""

    i: int
    j: int
    smaller: bool
    """False where nothing reads row ``i`` afterwards."""
    larger: bool
    """False where nothing reads row ``j`` afterwards."""


@lru_cache(maxsize=64)
def network(n: int, low: int = 0, high: int = 0) -> tuple[Step, ...]:
    """The steps that order n rows; with ``low`` or ``high``, only as far as trimming needs.

    With both 0 the rows end sorted. Otherwise rows ``low`` to ``n − high`` end holding the values
    that remain after the ``low`` smallest and ``high`` largest are dropped, in no stated order, and
    the other rows end undefined.
    """
    pairs = list(_odd_even_merge_sort(n))
    if not low and not high:
        return tuple(Step(i, j, True, True) for i, j in pairs)
    # Backwards: a row's fate is the class it ends in, until a kept step gives it a rank of its own.
    fate: list[str | None] = [*["low"] * low, *["kept"] * (n - low - high), *["high"] * high]
    read = [row_fate == "kept" for row_fate in fate]
    steps = []
    for i, j in reversed(pairs):
        if fate[i] is not None and fate[i] == fate[j]:
            continue  # both values end in one class: their order is nobody's concern
        steps.append(Step(i, j, read[i], read[j]))
        fate[i] = fate[j] = None
        read[i] = read[j] = True
    return tuple(reversed(steps))


def _odd_even_merge_sort(n: int) -> Iterator[tuple[int, int]]:
    """Batcher's comparisons (i, j), i < j, for any n."""
    run = 1
    while run < n:
        gap = run
        while gap >= 1:
            for start in range(gap % run, n - gap, 2 * gap):
                for i in range(start, min(start + gap, n - gap)):
                    if i // (2 * run) == (i + gap) // (2 * run):
                        yield i, i + gap
            gap //= 2
        run *= 2


def order_columns(
    steps: tuple[Step, ...], sources: Sequence[Int16Array], buffers: Iterable[Int16Array]
) -> list[Int16Array]:
    """Run a network on n rows int16[b]; the k-th of the rows returned holds what has rank k.

    Sources are only read. ``buffers`` are n + 1 rows int16[b] to work in: the rows returned are
    among them, or sources where no step touches a row.
    """
    rows = list(sources)
    free = list(buffers)
    ours = [False] * len(rows)  # is this row one of the buffers, hence free to overwrite?
    for i, j, smaller, larger in steps:
        first, second = rows[i], rows[j]
        if smaller:
            rows[i] = np.minimum(first, second, out=free.pop())
        if larger:
            rows[j] = np.maximum(first, second, out=second if ours[j] else free.pop())
        elif ours[j]:
            free.append(second)
        if ours[i]:
            free.append(first)
        ours[i], ours[j] = smaller, larger
    return rows
