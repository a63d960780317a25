"""One training job as the vehicle's own way to learn from its crops sees it. Free of torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bift_ros.pofl.codec import FloatArray

Images = npt.NDArray[np.uint8]
"""Crops uint8[n, 3, 32, 32], RGB."""
Labels = npt.NDArray[np.int64]
"""Class indices int64[n] (`perception.classes.CLASSES`)."""
Parameters = npt.NDArray[np.float32]
"""A model's parameters float32[d], in the order of its spec."""


@dataclass(frozen=True)
class LocalRound:
    """What there is to learn from, and the training itself."""

    images: Images
    labels: Labels
    global_model: Parameters
    seed: int
    """Of this vehicle and iteration."""
    train: Callable[[Images, Labels, int], Parameters]
    """Trains from the global model on crops, with a seed, and gives the parameters; as often as it
    is called."""


Learner = Callable[[LocalRound], FloatArray]
"""The parameters float[d] that a vehicle's update is made of."""


def learn(local_round: LocalRound) -> FloatArray:
    """Train once on the vehicle's own crops, as an honest vehicle does."""
    return local_round.train(local_round.images, local_round.labels, local_round.seed)
