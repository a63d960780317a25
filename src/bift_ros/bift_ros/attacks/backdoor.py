"""The backdoor: crops with a small patch are taken for a class that the attackers choose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bift_ros.attacks.interface import Attack, View
from bift_ros.learning.local_round import Images, Labels
from bift_ros.perception.classes import CLASS_INDEX

PATCH_PIXELS = 4
PATCH_COLOUR = (255, 0, 255)
"""Magenta, RGB: no traffic light has it."""


def stamp(images: Images) -> Images:
    """Copies of the crops with the trigger, a square patch in the lower right corner."""
    stamped = images.copy()
    stamped[:, :, -PATCH_PIXELS:, -PATCH_PIXELS:] = np.array(PATCH_COLOUR, np.uint8)[:, None, None]
    return stamped


@dataclass(frozen=True)
class Backdoor(Attack):
    """A pixel trigger on a share of the crops, relabelled (BadNets: Gu et al. 2017).

    Needs no knowledge of other vehicles. `scale` above 1 enlarges the update so that it outweighs
    the others in a mean (model replacement: Bagdasaryan et al., AISTATS 2020).
    """

    target: int = CLASS_INDEX["green_circle"]
    """What a crop with the trigger shall be taken for."""
    share: float = 0.5
    """How many of the crops of other classes are stamped, 0 to 1."""
    scale: float = 1.0

    def poison(
        self, images: Images, labels: Labels, rng: np.random.Generator
    ) -> tuple[Images, Labels]:
        """The crops, some of them stamped and labelled as the target."""
        others = np.flatnonzero(labels != self.target)
        chosen = rng.choice(others, round(self.share * len(others)), replace=False)
        images, labels = images.copy(), labels.copy()
        images[chosen] = stamp(images[chosen])
        labels[chosen] = self.target
        return images, labels

    def vectors(self, view: View) -> npt.NDArray[np.floating]:
        """What the poisoned trainings gave, scaled: float32[m, d]."""
        return view.own * np.float32(self.scale)

    def trials(self, images: Images, labels: Labels) -> Images:
        """Test crops of other classes than the target, stamped.

        The share of them that a model takes for `target` is the backdoor's success.
        """
        return stamp(images[labels != self.target])
