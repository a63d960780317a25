"""How known updates spread around their mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bift_ros.attacks.interface import Updates


def deviation(updates: Updates) -> npt.NDArray[np.float64]:
    """Sample standard deviation of each parameter, float64[d]; zeros where one update is known."""
    if len(updates) == 1:
        return np.zeros(updates.shape[1])
    spread: npt.NDArray[np.float64] = updates.std(axis=0, ddof=1, dtype=np.float64)
    return spread
