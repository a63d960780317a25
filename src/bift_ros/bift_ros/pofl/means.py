"""Means of updates: plain, weighted by integers, and of sorted columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bift_ros.pofl.codec import Int16Array, Int32Array
from bift_ros.pofl.fixed_point import Sum, add_mean, exact_sum
from bift_ros.pofl.round import Round
from bift_ros.pofl.sorting_network import Step, rank_columns


def mean(r: Round, rows: Sequence[Int16Array]) -> Int32Array:
    """The global model int32[d] moved by the unweighted mean of updates int16[d]."""

    def total_of(block: slice, scratch: Int16Array) -> Sum:
        return exact_sum([row[block] for row in rows], r.shift)

    return _moved(r, total_of, len(rows), 0, np.int16, 2 * len(rows) + 16)


def weighted_mean(
    r: Round, rows: Sequence[Int16Array], weights: Sequence[int], count: int
) -> Int32Array:
    """The global model int32[d] moved by the weighted sum of n updates int16[d] over ``count``.

    Weights may be negative; their sizes add up to at most 2**32, so that sums stay within
    `fixed_point.MAX_TOTAL`. No parameter moves further than an update can say.
    """
    reach = count << 15

    def total_of(block: slice, scratch: npt.NDArray[np.int64]) -> Sum:
        total: Sum = scratch[0]
        weighted = scratch[1]
        total[...] = 0
        for row, weight in zip(rows, weights, strict=True):
            weighted[...] = row[block]
            weighted *= weight
            total += weighted
        np.clip(total, -reach, reach, out=total)
        return total

    return _moved(r, total_of, count, 2, np.int64, 2 * len(rows) + 24)


def mean_of_ranked(
    r: Round,
    rows: Sequence[Int16Array],
    steps: tuple[Step, ...],
    sum_of: Callable[[list[Int16Array]], Sum],
    count: int,
) -> Int32Array:
    """The global model int32[d] moved by what ``sum_of`` makes of each parameter's values, over
    ``count``; it gets n rows [b], sorted within each column as far as the network goes."""

    def total_of(block: slice, buffers: Int16Array) -> Sum:
        return sum_of(rank_columns(steps, [row[block] for row in rows], buffers))

    return _moved(r, total_of, count, len(rows) + 1, np.int16, 2 * (len(rows) + 1) + 24)


def _moved(
    r: Round,
    total_of: Callable[[slice, npt.NDArray[Any]], Sum],
    count: int,
    scratch_rows: int,
    kind: type[np.signedinteger[Any]],
    bytes_per_column: int,
) -> Int32Array:
    """The global model moved by ``total_of`` over ``count``; it gets rows [b] to work in."""
    model = np.empty_like(r.global_model)
    columns = r.blocking.columns(model.size, bytes_per_column)

    def work(blocks: Iterator[slice]) -> None:
        scratch = np.empty((scratch_rows, columns), kind)
        for block in blocks:
            total = total_of(block, scratch[:, : block.stop - block.start])
            add_mean(r.global_model[block], total, count, r.shift, model[block])

    r.blocking.map(model.size, columns, work)
    return model
