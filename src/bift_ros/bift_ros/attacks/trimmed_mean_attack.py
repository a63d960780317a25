"""The trimmed-mean attack (Fang et al., USENIX Security 2020, section 4.3).

Let s_j be the sign of the change that parameter j of the global model would make without an attack.
Where it would grow, all attackers send values below the honest ones, otherwise above them. What the
trimmed mean drops on that side are then attackers, and on the other side honest values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bift_ros.attacks.interface import Attack, View
from bift_ros.attacks.spread import deviation

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrimmedMeanAttack(Attack):
    """Values just beyond the honest ones, against the direction of learning (Fang et al. 2020).

    With full knowledge each value is drawn from the interval between the honest models' extreme w
    and b·w or w/b, whichever lies beyond it (also He et al. 2022, VI-B 2). With own knowledge it is
    3 to 4 standard deviations from the mean of the attackers' clean updates.
    """

    trainings: ClassVar[int] = 3
    waits: ClassVar[bool] = True

    b: float = 2.0
    """How far beyond the extremes the interval reaches, as a factor; above 1."""

    def vectors(self, view: View) -> npt.NDArray[np.floating]:
        """float64[m, d]: each value drawn on its own from the parameter's interval."""
        low, high = self.interval(view)
        return view.rng.uniform(low, high, size=view.own.shape)

    def interval(self, view: View) -> tuple[Vector, Vector]:
        """The bounds float64[d] of what is sent, as updates: low ≤ high."""
        mean = view.honest.mean(axis=0, dtype=np.float64)
        grows = mean > 0
        if view.knowledge == "own":
            spread = deviation(view.honest)
            return (
                np.where(grows, mean - 4 * spread, mean + 3 * spread),
                np.where(grows, mean - 3 * spread, mean + 4 * spread),
            )
        start = view.global_model.astype(np.float64)
        lowest = start + view.honest.min(axis=0)
        highest = start + view.honest.max(axis=0)
        below = np.where(lowest > 0, lowest / self.b, lowest * self.b)
        above = np.where(highest > 0, highest * self.b, highest / self.b)
        return np.where(grows, below, highest) - start, np.where(grows, lowest, above) - start
