"""The coordinate-wise trimmed mean (Yin et al., ICML 2018).

Per parameter the f smallest and the f largest values are dropped and the rest averaged. Where that
would leave nothing (n ≤ 2f), ``(n − 1) // 2`` are dropped from each side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bift_ros.pofl.codec import Int16Array, Int32Array
from bift_ros.pofl.columns import Blocking
from bift_ros.pofl.fixed_point import add_mean, exact_sum
from bift_ros.pofl.sorting_network import rank_columns, trimming_network


def trim_count(n: int, byzantine: int) -> int:
    """How many values are dropped from each side."""
    return min(byzantine, (n - 1) // 2)


def trimmed_mean_notes(n: int, byzantine: int) -> tuple[str, ...]:
    """What to say where fewer than f can be dropped from each side."""
    if n > 2 * byzantine:
        return ()
    return (f"trimmed_mean: n={n} ≤ 2f={2 * byzantine}, drops {trim_count(n, byzantine)} a side",)


def trimmed_mean(
    global_model: Int32Array,
    rows: Sequence[Int16Array],
    byzantine: int,
    shift: int,
    blocking: Blocking,
) -> Int32Array:
    """The global model int32[d] moved by the trimmed mean of n updates int16[d]."""
    n = len(rows)
    trim = trim_count(n, byzantine)
    steps = trimming_network(n, trim) if trim else ()
    model = np.empty_like(global_model)
    columns = blocking.columns(model.size, 2 * (n + 1) + 16)

    def work(blocks: Iterator[slice]) -> None:
        scratch = np.empty((n + 1, columns), np.int16)
        for block in blocks:
            buffers = scratch[:, : block.stop - block.start]
            ranked = rank_columns(steps, [row[block] for row in rows], buffers)
            kept = ranked[trim : n - trim]
            add_mean(global_model[block], exact_sum(kept, shift), len(kept), shift, model[block])

    blocking.map(model.size, columns, work)
    return model
