"""The directions along which updates spread furthest, exactly the same on every machine.

Principal components from the Gram matrix of updates, in integers: power iteration with a fixed
number of steps, each new direction kept orthogonal to the earlier ones. Where it has not converged
it is the same everywhere all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

_STEPS = 32
_MATRIX_BITS, _VECTOR_BITS = 25, 24
"""Sizes at which a sum of up to 2**12 products (`MAX_UPDATES`) stays below 2**62."""


@dataclass(frozen=True)
class Direction:
    """A direction v = Σ aᵢ (uᵢ − mean) in the space of the updates uᵢ, of unknown length."""

    places: Int64Array
    """int64[k]: a, and also how far out along v each update stands, both up to a factor."""
    norm: int
    """a·a."""
    variance: int
    """a·Ca / a·a for the Gram matrix C of the centred updates: its eigenvalue, in a unit that all
    directions of one matrix share."""


def centred(gram: Int64Array) -> Int64Array:
    """Inner products about the mean, but for rounding: int64[k, k] from inner products.

    Inner products are at most 2**30 d with n d < 2**31, so no sum here passes 2**63.
    """
    means = gram.sum(axis=1) // len(gram)
    mean = int(means.sum()) // len(gram)
    about: Int64Array = gram - means[:, None] - means[None, :] + mean
    return about


def leading_directions(spread: Int64Array, count: int) -> list[Direction]:
    """The ``count`` directions of largest variance, the largest first; fewer where there are fewer.

    ``spread`` is a centred Gram matrix int64[k, k], at most 2**12 of them.
    """
    matrix = _scaled(spread)
    left = sum(matrix.diagonal().tolist())
    rounding = 4 * len(matrix)  # of the diagonal: no direction is made of that alone
    found: list[Direction] = []
    while len(found) < min(count, len(matrix) - 1) and left > rounding:
        found.append(_next(matrix, found))
        left -= found[-1].variance
    return found


def _next(matrix: Int64Array, earlier: Sequence[Direction]) -> Direction:
    """By power iteration, from the row of the largest diagonal value."""
    vector = _orthogonal(matrix[int(np.argmax(matrix.diagonal()))], earlier)
    for _ in range(_STEPS):
        image = _orthogonal(matrix @ vector, earlier)
        if not image.any():
            break
        vector = image
    values, product = vector.tolist(), (matrix @ vector).tolist()
    norm = sum(a * a for a in values) or 1
    return Direction(vector, norm, sum(a * b for a, b in zip(values, product, strict=True)) // norm)


def _orthogonal(vector: Int64Array, earlier: Sequence[Direction]) -> Int64Array:
    """The vector without its parts along earlier directions, at `_VECTOR_BITS`."""
    vector = _normalized(vector)
    for direction in earlier:
        share = (int(vector @ direction.places) << _VECTOR_BITS) // direction.norm
        vector = _normalized(vector - (share * direction.places >> _VECTOR_BITS))
    return vector


def _scaled(matrix: Int64Array) -> Int64Array:
    """The matrix without its last bits, so that no entry has more than `_MATRIX_BITS`."""
    excess = int(np.abs(matrix).max()).bit_length() - _MATRIX_BITS
    return matrix >> excess if excess > 0 else matrix


def _normalized(vector: Int64Array) -> Int64Array:
    """The vector scaled by a power of two so that its largest value has `_VECTOR_BITS` bits."""
    excess = int(np.abs(vector).max()).bit_length() - _VECTOR_BITS
    return vector >> excess if excess > 0 else vector << -excess
