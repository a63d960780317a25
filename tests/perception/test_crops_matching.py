"""Crops around regions, and pairing by stamp."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.perception.crops import CROP_SIZE, MARGIN, RegionError, crop_region
from bift_ros.perception.matching import StampMatcher

FRAME = np.zeros((480, 640, 3), np.uint8)


@given(st.integers(-50, 700), st.integers(-50, 500), st.integers(-5, 700), st.integers(-5, 500))
def test_a_region_is_cropped_or_refused(x: int, y: int, width: int, height: int) -> None:
    inside = x >= 0 and y >= 0 and x + width <= 640 and y + height <= 480
    large = min(width, height) >= 1 and max(width, height) >= 4
    if inside and large:
        assert crop_region(FRAME, x, y, width, height).shape == (CROP_SIZE, CROP_SIZE, 3)
        return
    with pytest.raises(RegionError) as caught:
        crop_region(FRAME, x, y, width, height)
    assert caught.value.reason == ("region_too_small" if inside else "region_outside_frame")


def test_the_crop_is_centred_and_keeps_proportions() -> None:
    frame = FRAME.copy()
    frame[100:160, 200:220] = (255, 0, 0)  # a box of 20×60
    crop = crop_region(frame, 200, 100, 20, 60)
    rows, columns = np.nonzero(crop[..., 0] > 128)
    scale = CROP_SIZE / (60 * (1 + 2 * MARGIN))
    assert rows.max() - rows.min() + 1 == pytest.approx(60 * scale, abs=1)
    assert columns.max() - columns.min() + 1 == pytest.approx(20 * scale, abs=1)
    assert rows.mean() == pytest.approx(15.5, abs=0.6)
    assert columns.mean() == pytest.approx(15.5, abs=0.6)


def test_margin_beyond_the_frame_repeats_its_edge() -> None:
    frame = np.full((480, 640, 3), 77, np.uint8)
    assert (crop_region(frame, 0, 0, 40, 40) == 77).all()
    assert (crop_region(frame, 600, 380, 40, 100) == 77).all()


@given(st.permutations([("frame", n) for n in range(8)] + [("labels", n) for n in range(8)]))
def test_all_orders_of_arrival_give_all_pairs(events: list[tuple[str, int]]) -> None:
    matcher: StampMatcher[str, str] = StampMatcher(len, capacity=8)
    pairs = set()
    for kind, n in events:
        if kind == "frame":
            labels = matcher.add_frame(n, f"f{n}")
            pairs |= {(f"f{n}", labels)} if labels else set()
        else:
            frame = matcher.add_labels(n, f"l{n}")
            pairs |= {(frame, f"l{n}")} if frame else set()
    assert pairs == {(f"f{n}", f"l{n}") for n in range(8)}
    matcher.finish()
    assert matcher.frames_without_labels == matcher.labels_without_frame == matcher.replaced == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=80), st.integers(1, 5))
def test_buffers_are_bounded_and_everything_is_counted(
    events: list[tuple[bool, int]], capacity: int
) -> None:
    matcher: StampMatcher[int, int] = StampMatcher(int, capacity)
    matched = 0
    for is_frame, stamp in events:
        partner = matcher.add_frame(stamp, 1) if is_frame else matcher.add_labels(stamp, 1)
        matched += partner is not None
        assert len(matcher._frames) <= capacity
        assert len(matcher._labels) <= capacity
    matcher.finish()
    lost = matcher.frames_without_labels + matcher.labels_without_frame + matcher.replaced
    assert 2 * matched + lost == len(events)


def test_waiting_frames_are_bounded_in_bytes() -> None:
    matcher: StampMatcher[bytes, int] = StampMatcher(len, 30, max_bytes=100)
    for stamp in range(5):
        matcher.add_frame(stamp, bytes(40))
    assert matcher.frames_without_labels == 3
    matcher.add_frame(4, bytes(60))
    assert (matcher.replaced, matcher.frames_without_labels) == (1, 3)
    assert matcher.add_labels(3, 1) == bytes(40)
    matcher.add_frame(5, bytes(40))
    matcher.add_frame(6, bytes(101))
    assert matcher.frames_without_labels == 6
    assert [matcher.add_labels(stamp, 1) for stamp in (4, 5, 6)] == [None] * 3
