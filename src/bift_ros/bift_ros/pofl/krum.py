"""Krum and multi-Krum (Blanchard et al., NeurIPS 2017).

An update's score is the sum of its squared distances to its n − f − 2 nearest others. Krum takes
the update with the lowest score, multi-Krum averages the n − f lowest. Equal scores: the earlier
update wins, and updates stand sorted by CID.

The guarantee needs n ≥ 2f + 3. Below n = f + 3 not one neighbour is left by the formula; then one,
the nearest, counts. A lone update has no neighbour and scores 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def neighbour_count(n: int, byzantine: int) -> int:
    """How many of its nearest others an update's score counts, of n updates."""
    return min(max(n - byzantine - 2, 1), n - 1)


def krum_scores(distances: npt.NDArray[np.int64], byzantine: int) -> npt.NDArray[np.int64]:
    """Krum scores int64[n] from squared distances int64[n, n]; lower is better."""
    n = len(distances)
    neighbours = neighbour_count(n, byzantine)
    others = distances[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    scores: npt.NDArray[np.int64] = np.sort(others, axis=1)[:, :neighbours].sum(axis=1)
    return scores


def krum_choice(distances: npt.NDArray[np.int64], byzantine: int) -> int:
    """The index of Krum's update."""
    return int(np.argmin(krum_scores(distances, byzantine)))  # argmin: the first of equals


def multi_krum_selection(distances: npt.NDArray[np.int64], byzantine: int) -> list[int]:
    """The indices, ascending, of the n − f updates (at least one) with the lowest scores."""
    size = max(len(distances) - byzantine, 1)
    order = np.argsort(krum_scores(distances, byzantine), kind="stable")
    return sorted(order[:size].tolist())


def krum_notes(n: int, byzantine: int) -> tuple[str, ...]:
    """What to say where there are too few updates for Krum's guarantee."""
    if n >= 2 * byzantine + 3:
        return ()
    neighbours = neighbour_count(n, byzantine)
    return (
        f"krum: n={n} < 2f+3={2 * byzantine + 3}, no guarantee; "
        f"scores use the {neighbours} nearest",
    )
