"""Bulyan (El Mhamdi et al., ICML 2018, "The Hidden Vulnerability of Distributed Learning").

1. Selection: θ = n − 2f times, Krum picks one of the updates that are left and takes it out.
2. Per parameter, the β = θ − 2f of the selected values that are nearest their median are averaged.

What the paper leaves open is fixed here. The median of an even number of values is the midpoint of
the middle two. Of two values equally far from it, the lower is taken first.

The paper needs n ≥ 4f + 3. With fewer, selection still takes n − 2f (at least one), and
β = θ − 2·min(f, (θ − 1) // 2): it trims what the selection allows.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from bift_ros.pofl.codec import Int16Array, Int32Array
from bift_ros.pofl.fixed_point import Sum, exact_sum
from bift_ros.pofl.krum import neighbour_count
from bift_ros.pofl.means import mean_of_ranked
from bift_ros.pofl.round import Round
from bift_ros.pofl.sorting_network import network
from bift_ros.pofl.trimmed_mean import trim_count


def bulyan_notes(n: int, byzantine: int) -> tuple[str, ...]:
    """What to say where there are too few updates for Bulyan's guarantee."""
    if n >= 4 * byzantine + 3:
        return ()
    selected = max(n - 2 * byzantine, 1)
    kept = selected - 2 * trim_count(selected, byzantine)
    return (
        f"bulyan: n={n} < 4f+3={4 * byzantine + 3}, no guarantee; "
        f"selects {selected}, averages the {kept} nearest the median",
    )


def bulyan_selection(distances: npt.NDArray[np.int64], byzantine: int) -> list[int]:
    """The indices that repeated Krum picks, ascending: max(n − 2f, 1) of them.

    Distances int64[n, n] don't change while updates leave: each one's others are sorted once.
    """
    n = len(distances)
    others = np.argsort(distances, axis=1)
    others = others[others != np.arange(n)[:, None]].reshape(n, n - 1)
    sorted_distances = np.take_along_axis(distances, others, axis=1)
    left = np.ones(n, dtype=bool)
    for size in range(n, n - max(n - 2 * byzantine, 1), -1):
        rows = np.flatnonzero(left)
        among = sorted_distances[rows][left[others[rows]]].reshape(size, size - 1)
        scores = among[:, : neighbour_count(size, byzantine)].sum(axis=1)
        left[rows[np.argmin(scores)]] = False  # argmin: the first of equals
    return np.flatnonzero(~left).tolist()


def bulyan(r: Round) -> Int32Array:
    """The global model int32[d] moved by the selected updates' values nearest the median."""
    rows = r.selected(bulyan_selection(r.distances, r.byzantine))
    n = len(rows)
    kept = n - 2 * trim_count(n, r.byzantine)
    total = partial(_sum_of_nearest, kept=kept, shift=r.shift)
    return mean_of_ranked(r, rows, network(n), total, kept)


def _sum_of_nearest(ranked: list[Int16Array], kept: int, shift: int) -> Sum:
    """The sum [b] of the ``kept`` values nearest the median, per column of sorted rows.

    They are neighbours in rank: a window. Starting from the lowest window, it moves up one rank
    whenever the value it would gain is strictly nearer the median than the one it would lose, which
    is ``gained − median < median − lost``, and that can only stop being true as it moves.
    """
    n = len(ranked)
    total = exact_sum(ranked[:kept], shift)
    middles = ranked[(n - 1) // 2].astype(np.int32) + ranked[n // 2]  # twice the median
    low, high = np.empty_like(middles), np.empty_like(middles)
    for lost, gained in zip(ranked, ranked[kept:], strict=False):
        low[...] = lost
        high[...] = gained
        moves = low + high < middles
        high -= low
        high *= moves
        total += high
    return total
