"""Attacks that move away from the mean of the known updates, whatever the aggregation rule.

All attackers send the same vector, except for Gaussian noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bift_ros.attacks.interface import Attack, View
from bift_ros.attacks.spread import deviation

Vector = npt.NDArray[np.floating]


def _mean(view: View) -> npt.NDArray[np.float64]:
    mean: npt.NDArray[np.float64] = view.honest.mean(axis=0, dtype=np.float64)
    return mean


@dataclass(frozen=True)
class SignFlip(Attack):
    """The mean of the known updates, reversed (Allen-Zhu et al., ICLR 2021; ByzFL)."""

    waits: ClassVar[bool] = True

    def vectors(self, view: View) -> Vector:
        """−mean, float64[d]."""
        return -_mean(view)


@dataclass(frozen=True)
class InnerProduct(Attack):
    """Inner-product manipulation: −ε times the mean (Xie et al., UAI 2020, "Fall of Empires")."""

    waits: ClassVar[bool] = True

    epsilon: float = 0.1
    """Small, it stays near the honest updates, so that Krum selects it; above (n − m)/m it turns a
    plain mean around."""

    def vectors(self, view: View) -> Vector:
        """−ε·mean, float64[d]."""
        return -self.epsilon * _mean(view)


@dataclass(frozen=True)
class ALittleIsEnough(Attack):
    """z standard deviations from the mean, which hides among honest updates (Baruch et al. 2019).

    By default z is the paper's z_max: so many honest updates lie further out that they make a
    majority with the attackers. Where too few attack for any z > 0, it is the 1.5 of the paper's
    experiments.
    """

    trainings: ClassVar[int] = 3
    waits: ClassVar[bool] = True

    z: float | None = None

    def vectors(self, view: View) -> Vector:
        """mean + z·deviation, float64[d]."""
        z = z_max(view.members, view.attackers) if self.z is None else self.z
        return _mean(view) + z * deviation(view.honest)


def z_max(members: int, attackers: int) -> float:
    """ALIE's z for n members and m attackers: ``Φ⁻¹((n − m − s)/(n − m))``, s = ⌊n/2 + 1⌋ − m.

    Where attackers are the majority themselves (s ≤ 0), or ``Φ⁻¹`` isn't above 0: 1.5.
    """
    supporters = members // 2 + 1 - attackers
    share = (members - attackers - supporters) / max(members - attackers, 1)
    return NormalDist().inv_cdf(share) if 0.5 < share < 1.0 else 1.5


@dataclass(frozen=True)
class MinMax(Attack):
    """As far from the mean as honest updates lie from each other (Shejwalkar & Houmansadr 2021).

    NDSS 2021, "Manipulating the Byzantine", section V-B: ``mean + γ·p``, where p is minus the
    standard deviation and γ the largest for which no distance to an honest update exceeds the
    largest between two of them. The paper searches γ by halving; it is the least root of one
    quadratic equation for each honest update.
    """

    trainings: ClassVar[int] = 3
    waits: ClassVar[bool] = True

    def vectors(self, view: View) -> Vector:
        """mean + γ·p, float64[d]; the mean, where the known updates don't differ."""
        mean, perturbation = _mean(view), -deviation(view.honest)
        length = perturbation @ perturbation
        if length == 0.0:
            return mean
        honest = view.honest.astype(np.float64)
        largest = max(
            np.square(honest[i + 1 :] - honest[i]).sum(axis=1).max() for i in range(len(honest) - 1)
        )
        offsets = mean - honest
        along = offsets @ perturbation
        room = np.maximum(largest - np.square(offsets).sum(axis=1), 0.0)
        gamma = float(((np.sqrt(along**2 + length * room) - along) / length).min())
        return mean + gamma * perturbation


@dataclass(frozen=True)
class Gaussian(Attack):
    """Noise and nothing else (Blanchard et al., NeurIPS 2017, section 5; ByzFL).

    Needs no knowledge of other vehicles.
    """

    sigma: float = 1.0

    def vectors(self, view: View) -> Vector:
        """N(0, σ²) for each value of each attacker, float64[m, d]."""
        return view.rng.normal(0.0, self.sigma, view.own.shape)
