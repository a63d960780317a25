"""Norm clipping in integers: no update counts for more than twice the median length.

Against whoever sends something enormous (Sun et al. 2019, "Can You Really Backdoor Federated
Learning?"), while a vehicle with more crops, whose update is longer, still counts in full or
nearly.
"""

from __future__ import annotations

from math import isqrt

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]

UNIT = 2**12
"""A scale of 1."""
LONGEST = 2
"""In units of the median length. Honest updates of equally many crops were measured at 0.8 to 1.2
of it, whatever their labels."""


def clipping_scales(gram: Int64Array) -> list[int]:
    """What to scale each update by, in units of 1 / UNIT, from inner products int64[n, n]."""
    squares = gram.diagonal().tolist()
    # Of an even number the lower one: with attackers among the longest, the more careful.
    longest = LONGEST * isqrt(sorted(squares)[(len(squares) - 1) // 2])
    return [UNIT if square <= longest**2 else UNIT * longest // isqrt(square) for square in squares]


def scaled(gram: Int64Array, scales: list[int]) -> Int64Array:
    """The inner products int64[n, n] of the scaled updates, rounded down."""
    factors = np.array(scales)
    return _scaled_rows(_scaled_rows(gram, factors).T, factors).T


def _scaled_rows(matrix: Int64Array, factors: Int64Array) -> Int64Array:
    # In two parts: entries have up to 61 bits.
    whole, rest = np.divmod(matrix, UNIT)
    result: Int64Array = whole * factors[:, None] + rest * factors[:, None] // UNIT
    return result
