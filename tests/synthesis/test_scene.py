"""The street scenes: seeded, labelled right, and of the promised variety."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bift_ros.perception.classes import CLASSES
from bift_ros.perception.crops import crop_region
from bift_ros.synthesis.scene import HEIGHT, WIDTH, encode_jpeg, make_frame
from bift_ros.synthesis.signals import Head, draw_head, paste_head

COLOURS = ((255, 40, 30), (255, 170, 30), (40, 240, 140))


@pytest.fixture(scope="module")
def frames() -> list:
    rng = np.random.default_rng(11)
    return [make_frame(rng) for _ in range(60)]


def test_a_seed_gives_the_same_pixels_again() -> None:
    once, again, other = (make_frame(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(once.image, again.image)
    assert once.labels == again.labels
    assert not np.array_equal(once.image, other.image)
    assert encode_jpeg(once.image) == encode_jpeg(again.image)


def test_frames_and_labels_are_in_bounds(frames: list) -> None:
    for frame in frames:
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        assert frame.image.dtype == np.uint8
        assert 1 <= len(frame.labels) <= 3
        for name, *box in frame.labels:
            assert name in CLASSES
            assert crop_region(frame.image, *box).shape == (32, 32, 3)


def test_lights_do_not_overlap(frames: list) -> None:
    for frame in frames:
        spans = sorted((label.x, label.x + label.width) for label in frame.labels)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_distance_and_brightness_vary(frames: list) -> None:
    heights = [label.height for frame in frames for label in frame.labels]
    assert min(heights) < 22
    assert max(heights) > 45
    means = [frame.image.mean() for frame in frames]
    assert min(means) < 45  # night
    assert max(means) > 120  # day


def test_class_weights_are_kept() -> None:
    weights = [0.0] * len(CLASSES)
    weights[4] = weights[9] = 0.5
    rng = np.random.default_rng(0)
    seen = {label.signal_class for _ in range(12) for label in make_frame(rng, weights).labels}
    assert seen == {CLASSES[4], CLASSES[9]}


@pytest.mark.parametrize("name", CLASSES)
def test_the_lit_lamp_has_its_place_and_colour(name: str) -> None:
    frame = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    label = paste_head(frame, Head(name, COLOURS, core=0.0), 300, 100, 120, 0.0, (0, 0, 0), 0.0)
    assert label == (name, 300, 100, label.width, 120)
    head = frame[100:220, 300 : 300 + label.width].astype(int)
    bright = head.max(axis=2) > 200
    if name == "off":
        assert not bright.any()
        return
    place = np.nonzero(bright)[0].mean() / 120
    assert place == pytest.approx({"r": 0.18, "y": 0.5, "g": 0.82}[name[0]], abs=0.06)
    strongest = np.median(head[bright], axis=0)
    assert (strongest[1] > strongest[0]) == name.startswith("green")


def test_arrows_point_where_they_say() -> None:
    for name, axis, sign in (("red_left", 1, -1), ("red_right", 1, 1), ("green_straight", 0, -1)):
        lit = draw_head(Head(name, COLOURS, lamps=1))[2]
        place = np.indices(lit.shape)[axis][lit > 0.5]
        extent = np.bincount(place)[place.min() : place.max() + 1]
        # The arrow's head is its broad half.
        half = len(extent) // 2
        assert (extent[half:].sum() > extent[:half].sum()) == (sign > 0)
