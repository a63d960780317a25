"""The one rounding rule of aggregation, in integer arithmetic.

The new model is ``global + floor(2**shift * total / count + 1/2)`` per parameter: the mean of the
updates at the model's finer scale, rounded to the nearest integer, halves upwards. The sum then
saturates at the ends of int32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bift_ros.pofl.codec import Int16Array, Int32Array

MAX_SHIFT = 14
"""How much finer than an update's a model's scale may be, in bits."""

MAX_TOTAL = 2**47
"""``abs(total)`` may not pass this: then nothing here passes 2**63, even at MAX_SHIFT."""

_INT32 = np.iinfo(np.int32)


Sum: TypeAlias = npt.NDArray[np.int32] | npt.NDArray[np.int64]


def exact_sum(rows: Sequence[Int16Array], shift: int) -> Sum:
    """The sum [b] of update rows int16[b], in integers wide enough for `add_mean` too.

    int32, twice as fast as int64, does for 511 rows at the default scales.
    """
    narrow = (len(rows) << (16 + shift)) + len(rows) < 2**31
    total: Sum = rows[0].astype(np.int32) if narrow else rows[0].astype(np.int64)
    wide = np.empty_like(total)
    for row in rows[1:]:
        wide[...] = row  # widening first, then adding, is faster than doing both at once
        total += wide
    return total


def add_mean(
    global_model: Int32Array,
    total: Sum,
    count: int,
    shift: int,
    out: Int32Array,
) -> None:
    """Write the new model's block into ``out``, int32[b].

    ``total`` is the (weighted) sum of int16 values [b], ``count`` what it is divided by: the number
    of values or the sum of their weights. ``total`` is used as scratch: its content is lost.
    """
    # floor(x / c + 1/2) = floor((2x + c) / 2c), exact because // floors.
    total <<= shift + 1
    total += count
    total //= 2 * count
    reach = 2 ** (15 + shift)  # a mean of int16 values moves no parameter further
    if global_model.min() >= _INT32.min + reach and global_model.max() <= _INT32.max - reach:
        np.add(global_model, total, out=out, casting="same_kind")
    else:
        moved = np.add(global_model, total, dtype=np.int64)
        out[...] = np.clip(moved, _INT32.min, _INT32.max)
