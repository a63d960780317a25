"""Boxes and words in a frame."""

from __future__ import annotations

import numpy as np
import pytest

from bift_ros.perception.annotation import Box, annotate
from bift_ros.perception.classes import Label

RED, GREEN = (213, 94, 0), (0, 158, 115)


def frame(height: int = 480, width: int = 640) -> np.ndarray:
    return np.full((height, width, 3), 200, np.uint8)


def test_a_box_is_drawn_around_its_light_and_the_words_beside_it() -> None:
    original = frame()
    label = Label("red_circle", 100, 50, 30, 80)
    picture = annotate(original, [Box(label, GREEN, ("label red_circle", "model off"))], "banner")
    assert (original == 200).all(), "the frame is the caller's"
    assert picture.dtype == np.uint8
    assert picture.shape[0] > 480
    assert picture.shape[1:] == (640, 3)
    corners = ((50, 100), (50, 130), (130, 100), (130, 130))
    assert all(tuple(picture[corner]) == GREEN for corner in corners)
    assert (picture[60:120, 110:120] == 200).all(), "the light itself stays as it is"
    words = picture[133:160, 101:200]
    assert (words > 200).any(), "white letters"
    assert (words == 0).any(), "on black"
    assert (picture[480:] > 200).any(), "the banner"


def test_the_words_of_two_boxes_differ() -> None:
    label = Label("red_circle", 100, 50, 30, 80)
    one, other = (
        annotate(frame(), [Box(label, RED, (text,))], "") for text in ("red_left", "red_right")
    )
    assert (one != other).any()


@pytest.mark.parametrize(
    "label",
    [
        Label("off", 600, 440, 100, 100),
        Label("off", 4_000_000_000, 4_000_000_000, 4_000_000_000, 4_000_000_000),
        Label("off", 0, 0, 640, 480),
        Label("off", 630, 470, 0, 0),
    ],
)
def test_a_box_beyond_the_frame_is_cut(label: Label) -> None:
    picture = annotate(frame(), [Box(label, RED, ("label off", "model " + "x" * 100))], "x" * 300)
    assert picture.shape[:2] == annotate(frame(), [], "").shape[:2]
    assert (picture == RED).all(axis=2).any()


@pytest.mark.parametrize("size", [(2, 2), (48, 64), (1080, 1920)])
def test_frames_of_any_size_are_drawn_into(size: tuple[int, int]) -> None:
    picture = annotate(frame(*size), [Box(Label("off", 0, 0, 2, 2), RED, ("label off",))], "b")
    assert picture.shape[1] == size[1]
    assert picture.shape[0] > size[0]
