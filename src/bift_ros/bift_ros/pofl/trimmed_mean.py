"""The coordinate-wise trimmed mean (Yin et al., ICML 2018).

Per parameter the f smallest and the f largest values are dropped and the rest averaged. Where that
would leave nothing (n ≤ 2f), ``(n − 1) // 2`` are dropped from each side.
"""

from __future__ import annotations

from bift_ros.pofl.codec import Int16Array, Int32Array
from bift_ros.pofl.fixed_point import Sum, exact_sum
from bift_ros.pofl.means import mean_of_ranked
from bift_ros.pofl.round import Round
from bift_ros.pofl.sorting_network import trimming_network


def trim_count(n: int, byzantine: int) -> int:
    """How many values are dropped from each side."""
    return min(byzantine, (n - 1) // 2)


def trimmed_mean_notes(n: int, byzantine: int) -> tuple[str, ...]:
    """What to say where fewer than f can be dropped from each side."""
    if n > 2 * byzantine:
        return ()
    return (f"trimmed_mean: n={n} ≤ 2f={2 * byzantine}, drops {trim_count(n, byzantine)} a side",)


def trimmed_mean(r: Round) -> Int32Array:
    """The global model int32[d] moved by the trimmed mean of the updates."""
    n = len(r.rows)
    trim = trim_count(n, r.byzantine)
    steps = trimming_network(n, trim) if trim else ()

    def total(ranked: list[Int16Array]) -> Sum:
        return exact_sum(ranked[trim : n - trim], r.shift)

    return mean_of_ranked(r, r.rows, steps, total, n - 2 * trim)
