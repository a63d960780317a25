"""Label flip: the attackers learn that a green light is a red one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bift_ros.attacks.interface import Attack
from bift_ros.learning.local_round import Images, Labels
from bift_ros.perception.classes import CLASS_INDEX, CLASSES

GREEN = tuple(CLASS_INDEX[name] for name in CLASSES if name.startswith("green_"))
RED_CIRCLE = CLASS_INDEX["red_circle"]


@dataclass(frozen=True)
class LabelFlip(Attack):
    """Every green class becomes red circle (He et al. 2022, section VI-B, after Huang et al. 2011).

    Needs no knowledge of other vehicles, and gains nothing by it.
    """

    def poison(
        self, images: Images, labels: Labels, rng: np.random.Generator
    ) -> tuple[Images, Labels]:
        """The same crops, int64[n] labels with every green class replaced."""
        return images, np.where(np.isin(labels, GREEN), RED_CIRCLE, labels)
