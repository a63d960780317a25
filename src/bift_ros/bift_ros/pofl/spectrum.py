"""The directions along which updates spread furthest, exactly the same on every machine.

Principal components from the Gram matrix C of updates. C raised to the power s = 2**12, by squaring
it so many times, is all but a multiple of the leading eigenvector's v vᵀ; v is taken out of C, and
the next one looked for. That has no start vector to be unlucky with, and a bound: of k updates, the
variance found is at least k^(−1/s) times the largest there is, 0.998 for a thousand (the column
of Cˢ with the largest diagonal value, which is the trace's k-th part at least, is v).

All values are integers. BLAS multiplies them in float64, yet exactly: they are kept so short that
every sum of products in any order stays under 2**53.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

_SQUARINGS = 12
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
    rest = matrix
    left = sum(matrix.diagonal().tolist())
    rounding = 4 * len(matrix)  # of the diagonal: no direction is made of that alone
    found: list[Direction] = []
    while len(found) < min(count, len(matrix) - 1) and left > rounding:
        found.append(_next(matrix, rest, found))
        left -= found[-1].variance
        rest = _without(rest, found[-1])
    return found


def _next(matrix: Int64Array, rest: Int64Array, earlier: Sequence[Direction]) -> Direction:
    """The leading direction of ``rest``, which is the matrix without earlier ones."""
    power = _shortened(rest.astype(np.float64))
    for _ in range(_SQUARINGS):
        power = _shortened(power @ power)
    column = power[:, int(np.argmax(power.diagonal()))].astype(np.int64)
    vector = _orthogonal(column, earlier)
    values, product = vector.tolist(), (matrix @ vector).tolist()
    norm = sum(a * a for a in values) or 1
    return Direction(vector, norm, sum(a * b for a, b in zip(values, product, strict=True)) // norm)


def _without(matrix: Int64Array, direction: Direction) -> Int64Array:
    """The matrix less its part along a direction, variance times v vᵀ for v of length 1."""
    unit = (direction.places << _VECTOR_BITS) // max(isqrt(direction.norm), 1)
    square = unit[:, None] * unit[None, :] >> _VECTOR_BITS
    rest: Int64Array = matrix - (direction.variance * square >> _VECTOR_BITS)
    return rest


def _shortened(matrix: Float64Array) -> Float64Array:
    """A matrix of integers, as integers so short that products of two such matrices are exact."""
    bits = (53 - len(matrix).bit_length()) // 2
    excess = int(np.abs(matrix).max()).bit_length() - bits
    return np.rint(np.ldexp(matrix, -excess))


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
