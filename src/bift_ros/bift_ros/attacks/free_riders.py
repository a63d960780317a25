"""Free riders: rewards for updates that nobody trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bift_ros.attacks.interface import Attack, View

FIRST_NOISE = 1e-3
"""The noise's size while the global model has not moved yet."""


@dataclass(frozen=True)
class CopyingFreeRider(Attack):
    """Send what others have made.

    With full knowledge, attacker k sends honest update k mod h (ByzFL's Mimic, after Karimireddy et
    al. 2022): the reason for commit and reveal. With own knowledge it sends the last movement of
    the global model, the delta weights of Lin et al. 2019 ("Free-riders in Federated Learning"); at
    first that is the global model itself.
    """

    trainings: ClassVar[int] = 0
    waits: ClassVar[bool] = True

    def vectors(self, view: View) -> npt.NDArray[np.floating]:
        """float32[m, d] copies, or the last movement float32[d]."""
        if view.knowledge == "own":
            return view.previous
        return view.honest[np.arange(view.attackers) % len(view.honest)]


@dataclass(frozen=True)
class DisguisedFreeRider(Attack):
    """The global model with noise, so that it looks trained (Fraboni et al., AISTATS 2021).

    The noise is as large as a real update: as the known ones with full knowledge, with own
    knowledge as the last movement of the global model.
    """

    trainings: ClassVar[int] = 0
    waits: ClassVar[bool] = True

    def vectors(self, view: View) -> npt.NDArray[np.floating]:
        """N(0, σ²) for each value of each attacker, float64[m, d]."""
        known = view.honest if view.knowledge == "full" else view.previous
        sigma = np.sqrt(np.square(known, dtype=np.float64).mean())
        return view.rng.normal(0.0, sigma or FIRST_NOISE, view.own.shape)
