"""Means of updates: plain, weighted by integers, and of sorted columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bift_ros.pofl.codec import Int16Array, Int32Array
from bift_ros.pofl.columns import Blocking
from bift_ros.pofl.fixed_point import Sum, add_mean, exact_sum
from bift_ros.pofl.sorting_network import Step, rank_columns


def mean(
    global_model: Int32Array, rows: Sequence[Int16Array], shift: int, blocking: Blocking
) -> Int32Array:
    """The global model int32[d] moved by the unweighted mean of updates int16[d]."""
    model = np.empty_like(global_model)
    columns = blocking.columns(model.size, 2 * len(rows) + 16)

    def work(blocks: Iterator[slice]) -> None:
        for block in blocks:
            total = exact_sum([row[block] for row in rows], shift)
            add_mean(global_model[block], total, len(rows), shift, model[block])

    blocking.map(model.size, columns, work)
    return model


def weighted_mean(
    global_model: Int32Array,
    rows: Sequence[Int16Array],
    weights: Sequence[int],
    count: int,
    shift: int,
    blocking: Blocking,
) -> Int32Array:
    """The global model int32[d] moved by the weighted sum of n updates int16[d] over ``count``.

    Weights may be negative; their sizes add up to at most 2**32, so that sums stay within
    `fixed_point.MAX_TOTAL`. No parameter moves further than an update can say.
    """
    model = np.empty_like(global_model)
    columns = blocking.columns(model.size, 2 * len(rows) + 24)
    reach = count << 15

    def work(blocks: Iterator[slice]) -> None:
        scratch = np.empty((2, columns), np.int64)
        for block in blocks:
            total, weighted = scratch[:, : block.stop - block.start]
            total[...] = 0
            for row, weight in zip(rows, weights, strict=True):
                weighted[...] = row[block]
                weighted *= weight
                total += weighted
            np.clip(total, -reach, reach, out=total)
            add_mean(global_model[block], total, count, shift, model[block])

    blocking.map(model.size, columns, work)
    return model


def mean_of_ranked(
    global_model: Int32Array,
    rows: Sequence[Int16Array],
    steps: tuple[Step, ...],
    sum_of: Callable[[list[Int16Array]], Sum],
    count: int,
    shift: int,
    blocking: Blocking,
) -> Int32Array:
    """The global model int32[d] moved by what ``sum_of`` makes of each parameter's values, over
    ``count``; it gets n rows [b], sorted within each column as far as the network goes."""
    model = np.empty_like(global_model)
    n = len(rows)
    columns = blocking.columns(model.size, 2 * (n + 1) + 24)

    def work(blocks: Iterator[slice]) -> None:
        scratch = np.empty((n + 1, columns), np.int16)
        for block in blocks:
            buffers = scratch[:, : block.stop - block.start]
            ranked = rank_columns(steps, [row[block] for row in rows], buffers)
            add_mean(global_model[block], sum_of(ranked), count, shift, model[block])

    blocking.map(model.size, columns, work)
    return model
