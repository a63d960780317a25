"""The attack made for `robust`: whoever knows the rule gives it nothing to see.

After the aggregation-tailored attacks of Shejwalkar and Houmansadr (NDSS 2021, section IV): pull as
far as the rule, run by the attackers themselves, lets the model be pulled. Each attacker sends
``μ + γ·p + e``:

- μ is the mean of the known updates.
- e is drawn for each attacker from a normal distribution with the known updates' covariance, as a
  random mixture of their deviations: the attackers are as unlike as honest vehicles are, no copies.
- p = −σ·sign(μ), scaled to length 1: against the direction of learning in each parameter, by how
  much known updates differ in it. In one training that cost 2.2 points, −μ 1.9, Min-Max's −σ 0.4.
- γ falls from far beyond the spread in steps; the one that moves the model of `robust` the
  furthest along p counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bift_ros.attacks.interface import Attack, View, encode_to_fixed_point
from bift_ros.attacks.spread import deviation
from bift_ros.pofl.codec import Int16Array
from bift_ros.pofl.columns import Blocking
from bift_ros.pofl.distances import gram_matrix
from bift_ros.pofl.robust import robust_weighting

FARTHEST = 4.0
"""The first γ, in units of how far known updates lie from their mean (root mean square)."""
STEP, STEPS = 2**-0.5, 13
"""From one γ to the next, down to a sixteenth."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RobustAttack(Attack):
    """As far as `robust` lets itself be pulled, by attackers who look like honest vehicles.

    The rule is taken to assume as many attackers as there are. With own knowledge each attacker
    pulls its own clean update. All of these stand for honest ones when the rule is run, and as many
    more as the fleet has are drawn around them, parameter by parameter; γ is then one step less.
    """

    trainings: ClassVar[int] = 3
    waits: ClassVar[bool] = True

    def vectors(self, view: View) -> npt.NDArray[np.floating]:
        """float64[m, d]: each attacker's disguise, moved by what pulls furthest."""
        honest = view.honest.astype(np.float64)
        mean = honest.mean(axis=0)
        spread, sigma = honest - mean, deviation(view.honest)
        if view.knowledge == "full":
            mixture = view.rng.normal(size=(view.attackers, len(honest)))
            disguised: Vector = mean + mixture @ spread / np.sqrt(max(len(honest) - 1, 1))
            others = honest
        else:
            disguised = view.own.astype(np.float64)
            unknown = (max(view.members - view.attackers - len(honest), 0), len(mean))
            drawn = mean + view.rng.normal(size=unknown) * sigma
            others = np.concatenate([honest, drawn])
        direction = -sigma * np.sign(mean)
        direction /= np.linalg.norm(direction) or 1.0
        rows = [encode_to_fixed_point(update) for update in others]
        gamma = FARTHEST * float(np.sqrt(np.square(spread).sum() / len(honest)))
        best, furthest = disguised, _place(rows, disguised, direction)
        for _ in range(STEPS):
            crafted = disguised + gamma * direction
            if (place := _place(rows, crafted, direction)) > furthest:
                best, furthest = crafted, place
            gamma *= STEP
        if view.knowledge == "own":  # a guess: to be outvoted for too much is to gain nothing
            best = disguised + STEP * (best - disguised)
        return best


def _place(others: list[Int16Array], crafted: Vector, direction: Vector) -> float:
    """How far along a direction `robust` moves the model, in units of the codec."""
    rows = [*others, *(encode_to_fixed_point(update) for update in crafted)]
    made = robust_weighting(gram_matrix(rows, Blocking()), len(crafted))
    places = [float(rows[i] @ direction) for i in made.indices]
    moved: float = sum(weight * place for weight, place in zip(made.weights, places, strict=True))
    return moved / made.total
