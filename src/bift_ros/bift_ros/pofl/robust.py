"""The rule `robust`: copies count once, a spectral filter takes out whoever pulls one way together.

Attackers who mean to move a mean far must pull in one direction; honest updates from different
crops differ in all. So (bounds and figures: docs/robust.md):

1. **Copies.** Trainings on different crops don't end in one place. Of updates that stand far nearer
   together than updates commonly do, the first counts and the others are left out. Most attacks
   send one crafted vector many times; Krum and Bulyan take such a crowd for the truth.
2. **Filter.** While the updates spread along one direction more than `TOLERATED` times as far as
   along the average one, the update furthest out along it is left out, f updates at most. This is
   the filter of Diakonikolas et al. (ICML 2017, "Being Robust (in High Dimensions) Can Be
   Practical") and of divide-and-conquer (Shejwalkar and Houmansadr, NDSS 2021), on the Gram matrix
   of the updates instead of their coordinates.
3. **Mean** of the rest, unweighted.

Everything is computed from the exact integer distances, in integers. The leading direction comes
from a fixed number of power iterations, so it is the same everywhere also where it is not exact.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

COPIES = 8
"""Updates whose squared distance is under an eighth of the common one count as copies. Of honest
vehicles the nearest two were measured at 0.9 of the median one, with unlike crops (Dirichlet,
α = 0.5) at 0.7."""
TOLERATED = 2
"""Variance along the leading direction, in units of the average direction's. Honest updates of
vehicles with like crops were measured at 1.3 to 1.5, nine attackers of thirty at 2 to 20."""
_FIRST_STEPS = 32
_STEPS = 8
"""Power iterations: from a start of its own, and from the direction found before."""
_MATRIX_BITS, _VECTOR_BITS = 25, 24
"""Sizes at which a sum of up to 2**12 products (`MAX_UPDATES`) stays below 2**62."""


def robust_selection(distances: Int64Array, byzantine: int) -> list[int]:
    """The indices, ascending, of the updates to average: at least n − f, besides copies.

    ``distances`` are squared, int64[n, n]; ``byzantine`` is f.
    """
    kept = without_copies(distances, byzantine)
    limit = max(byzantine - (len(distances) - len(kept)), 0)
    return without_outliers(distances, kept, limit)


def without_copies(distances: Int64Array, byzantine: int) -> list[int]:
    """The indices, ascending, of updates that are no copies of an earlier one that is kept."""
    bound = -(-_common_distance(distances, byzantine) // COPIES)
    kept: list[int] = []
    for i in range(len(distances)):
        if not kept or int(distances[i, kept].min()) >= bound:
            kept.append(i)
    return kept


def _common_distance(distances: Int64Array, byzantine: int) -> int:
    """A squared distance as the nearest honest updates have it, whatever f others send.

    These can make the distances among themselves and to one honest update as small as they like,
    f (f + 1) / 2 in all: it is the next larger one.
    """
    pairs = np.sort(distances[np.triu_indices(len(distances), 1)])
    small = byzantine * (byzantine + 1) // 2
    return int(pairs[small]) if small < len(pairs) else 0


def without_outliers(distances: Int64Array, indices: list[int], limit: int) -> list[int]:
    """What is left of ``indices`` once the filter has left out at most ``limit`` of them."""
    kept = np.array(indices)
    direction: Int64Array | None = None
    for _ in range(limit):
        if len(kept) < 3:
            break
        spread = _scaled(_centred(distances[np.ix_(kept, kept)]))
        direction, variance, norm = _leading(spread, direction)
        total = sum(spread.diagonal().tolist())
        # variance / norm is along the leading direction, total / (k − 1) along the average one
        if variance * (len(kept) - 1) <= TOLERATED * total * norm:
            break
        left = np.arange(len(kept)) != np.argmax(np.abs(direction))  # argmax: the first of equals
        kept, direction = kept[left], direction[left]
    result: list[int] = kept.tolist()
    return result


def robust_notes(n: int, byzantine: int) -> tuple[str, ...]:
    """What to say where attackers could be as many as the honest."""
    if n > 2 * byzantine:
        return ()
    return (f"robust: n={n} ≤ 2f={2 * byzantine}, no guarantee",)


def _centred(distances: Int64Array) -> Int64Array:
    """Inner products about the mean, but for rounding, twice: int64[k, k] from squared distances.

    −(D − row means − column means + mean): classical multidimensional scaling. Distances are below
    2**32 d with n d < 2**31, so no sum here passes 2**63.
    """
    means = distances.sum(axis=1) // len(distances)
    mean = int(means.sum()) // len(distances)
    centred: Int64Array = means[:, None] + means[None, :] - mean - distances
    return centred


def _scaled(matrix: Int64Array) -> Int64Array:
    """The matrix without its last bits, so that no entry has more than `_MATRIX_BITS`."""
    excess = int(np.abs(matrix).max()).bit_length() - _MATRIX_BITS
    return matrix >> excess if excess > 0 else matrix


def _leading(matrix: Int64Array, start: Int64Array | None) -> tuple[Int64Array, int, int]:
    """The leading eigenvector v, int64[k], and exactly ``v·Mv`` and ``v·v``, by power iteration.

    ``start`` is a direction to begin with; else the row of the largest norm is.
    """
    vector, steps = start, _STEPS
    if vector is None or not vector.any():
        vector, steps = matrix[int(np.argmax(matrix.diagonal()))], _FIRST_STEPS
    vector = _normalized(vector)
    for _ in range(steps):
        image = matrix @ vector
        if not image.any():
            break
        vector = _normalized(image)
    product = (matrix @ vector).tolist()
    values = vector.tolist()
    variance = sum(a * b for a, b in zip(values, product, strict=True))
    return vector, variance, sum(a * a for a in values)


def _normalized(vector: Int64Array) -> Int64Array:
    """The vector scaled by a power of two so that its largest value has `_VECTOR_BITS` bits."""
    excess = int(np.abs(vector).max()).bit_length() - _VECTOR_BITS
    return vector >> excess if excess > 0 else vector << -excess
