"""Sort or trim every column of a block at once, with a network of minima and maxima.

A sorting network compares the same pairs of rows whatever the data, so each step is one elementwise
minimum and one maximum over two whole rows, which NumPy runs at SIMD width on int16. The network is
Batcher's odd-even merge sort (Knuth, TAOCP vol. 3, 5.3.4).

A trimmed mean needs no full order, only the values between the trimmed ones: `trimming_network`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bift_ros.pofl.codec import Int16Array

_NARROW = 512
"""Shorter rows are sorted faster column by column: each step of a network costs two calls."""


class Step(NamedTuple):
    """Put the smaller of two rows' values into row ``i``, the larger into row ``j``."""

    i: int
    j: int
    smaller: bool
    """False where nothing reads row ``i`` afterwards."""
    larger: bool
    """False where nothing reads row ``j`` afterwards."""


@lru_cache(maxsize=64)
def network(n: int) -> tuple[Step, ...]:
    """The steps that sort n rows."""
    return tuple(Step(i, j, True, True) for i, j in _odd_even_merge_sort(n))


@lru_cache(maxsize=64)
def trimming_network(n: int, trim: int) -> tuple[Step, ...]:
    """The steps that leave in rows ``trim`` to ``n − trim`` what trimming keeps, in no order.

    Kept are the values that remain after the ``trim`` smallest and the ``trim`` largest of each
    column are dropped; the other rows end undefined. ``trim`` is at most (n − 1) // 2.

    First every row is compared with a partner. Of the losers each of the ``trim`` smallest values
    may be, but of the winners at most half as many: with a winner its loser is among them too. So
    the halves are sorted apart, and of each only few rows have to meet the other's: the smallest of
    two sorted sets are ``min(a[k], b[trim - 1 - k])`` (Batcher's half-cleaner). With an odd n the
    row without a partner stands with the losers, and may be a largest value by itself.
    """
    fates = ["low"] * trim + ["kept"] * (n - 2 * trim) + ["high"] * trim
    half = n // 2
    if trim + (trim + 1) // 2 > half:  # the rows that meet would be the same at both ends
        return _pruned(list(_odd_even_merge_sort(n)), fates)
    losers = [*range(half), *range(2 * half, n)]
    winners = list(range(half, 2 * half))
    pairs = list(zip(losers, winners, strict=False))
    for side in (losers, winners):
        pairs += [(side[i], side[j]) for i, j in _odd_even_merge_sort(len(side))]
    low, high = losers[:trim], winners[len(winners) - trim :]
    # Of the winners' sorted rows the lowest may be among the smallest; likewise at the other end.
    pairs += zip(reversed(low), winners[: trim // 2], strict=False)
    pairs += zip(reversed(losers[len(losers) - (trim + n % 2) // 2 :]), high, strict=False)
    kept = [row for row in range(n) if row not in low and row not in high]
    position = {row: place for place, row in enumerate([*low, *kept, *high])}
    return _pruned([(position[i], position[j]) for i, j in pairs], fates)


def _pruned(pairs: Sequence[tuple[int, int]], fates: Sequence[str]) -> tuple[Step, ...]:
    """Leave out every step that can't matter for which values end in the class ``kept``.

    ``fates`` names the class in which each row ends.
    """
    # Backwards: a row's fate is the class it ends in, until a kept step gives it a rank of its own.
    fate: list[str | None] = list(fates)
    read = [row_fate == "kept" for row_fate in fates]
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


def rank_columns(
    steps: tuple[Step, ...], sources: Sequence[Int16Array], buffers: Iterable[Int16Array]
) -> list[Int16Array]:
    """Give the rows that `order_columns` gives, or all of them sorted where that is faster."""
    if sources[0].size < _NARROW:
        return list(np.sort(np.stack(sources), axis=0))
    return order_columns(steps, sources, buffers)


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
