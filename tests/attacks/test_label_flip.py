"""The label flip of the paper's section VI-B."""

from __future__ import annotations

import numpy as np

from bift_ros.attacks.label_flip import LabelFlip
from bift_ros.perception.classes import CLASSES


def test_every_green_class_becomes_red_circle() -> None:
    images = np.arange(len(CLASSES) * 3 * 32 * 32, dtype=np.int64).astype(np.uint8)
    images = images.reshape(-1, 3, 32, 32)
    poisoned, labels = LabelFlip().poison(images, np.arange(len(CLASSES)), np.random.default_rng(0))
    expected = ["red_circle" if "green" in name else name for name in CLASSES]
    assert [CLASSES[label] for label in labels] == expected
    assert np.array_equal(poisoned, images)
