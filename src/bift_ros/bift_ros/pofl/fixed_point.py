"""The one rounding rule of aggregation, in integer arithmetic.

The new model is ``global + floor(2**shift * total / count + 1/2)`` per parameter: the mean of the
updates at the model's finer scale, rounded to the nearest integer, halves upwards. The sum then
saturates at the ends of int32.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bift_ros.pofl.codec import Int32Array

MAX_SHIFT = 14
"""How much finer than an update's a model's scale may be, in bits."""

MAX_TOTAL = 2**47
"""``abs(total)`` may not pass this: then nothing here passes 2**63, even at MAX_SHIFT."""

_INT32 = np.iinfo(np.int32)


def add_mean(
    global_model: Int32Array,
    total: npt.NDArray[np.int64],
    count: int,
    shift: int,
    out: Int32Array,
) -> None:
    """Write the new model's block into ``out``, int32[b].

    ``total`` is the updates' sum, int64[b], ``count`` what it is divided by. ``total`` is used as
    scratch: its content is lost.
    """
    # floor(x / c + 1/2) = floor((2x + c) / 2c), exact because // floors.
    total <<= shift + 1
    total += count
    total //= 2 * count
    total += global_model
    np.clip(total, _INT32.min, _INT32.max, out=total)
    out[...] = total
