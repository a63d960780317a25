"""The pixel trigger: where it is, whom it changes, and what counts as its success."""

from __future__ import annotations

import numpy as np
from views import make_view

from bift_ros.attacks.backdoor import PATCH_COLOUR, Backdoor, stamp
from bift_ros.attacks.interface import UPDATE_LIMIT
from bift_ros.perception.classes import CLASS_INDEX, CLASSES


def crops(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 200, (count, 3, 32, 32), np.uint8)
    return images, rng.integers(0, len(CLASSES), count)


def test_the_trigger_is_a_patch_in_the_corner() -> None:
    images, _ = crops(5)
    stamped = stamp(images)
    changed = (stamped != images).any(axis=(0, 1))
    assert changed[28:, 28:].all()
    assert changed.sum() == 16
    assert tuple(stamped[3, :, 30, 30]) == PATCH_COLOUR


def test_a_share_of_the_crops_of_other_classes_is_relabelled() -> None:
    images, labels = crops(400)
    target = CLASS_INDEX["green_circle"]
    poisoned, new = Backdoor(share=0.25).poison(images, labels, np.random.default_rng(1))
    changed = new != labels
    assert changed.sum() == round(0.25 * (labels != target).sum())
    assert (new[changed] == target).all()
    assert np.array_equal(poisoned[changed], stamp(images[changed]))
    assert np.array_equal(poisoned[~changed], images[~changed])


def test_success_is_measured_on_stamped_crops_of_other_classes() -> None:
    images, labels = crops(50)
    attack = Backdoor(target=CLASS_INDEX["off"])
    trials = attack.trials(images, labels)
    assert np.array_equal(trials, stamp(images[labels != CLASS_INDEX["off"]]))


def test_model_replacement_scales_the_update_within_the_codecs_range() -> None:
    view = make_view()
    assert np.array_equal(Backdoor().craft(view), view.own)
    expected = np.clip(view.own * np.float32(30), -UPDATE_LIMIT, UPDATE_LIMIT)
    assert np.array_equal(Backdoor(scale=30.0).craft(view), expected)
