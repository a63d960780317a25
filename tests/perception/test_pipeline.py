"""Frames and labels in, dataset out, and every bad input counted under its reason."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from recorded import read_images

from bift_ros.perception.images import CompressedImage, RawImage
from bift_ros.perception.pipeline import Pipeline

LABEL = ("red_circle", 50, 40, 20, 50)


def picture(seed: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    return cv2.resize(small, (160, 120), interpolation=cv2.INTER_NEAREST)


def jpeg(seed: int) -> CompressedImage:
    return CompressedImage("jpeg", cv2.imencode(".jpg", picture(seed))[1].tobytes())


def raw(seed: int, encoding: str = "rgb8") -> RawImage:
    return RawImage(120, 160, encoding, 0, 480, picture(seed).tobytes())


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path / "dataset", val_share=0)


def test_either_may_come_first_raw_and_compressed(pipeline: Pipeline) -> None:
    pipeline.on_image(1, jpeg(1))
    pipeline.on_labels(1, [LABEL])
    pipeline.on_labels(2, [LABEL, ("off", 5, 5, 30, 30)])
    pipeline.on_image(2, raw(2))
    statistics = pipeline.statistics
    assert (statistics.frames_seen, statistics.labels_seen, statistics.samples) == (2, 2, 3)
    assert statistics.per_class["red_circle"] == 2
    assert statistics.skips == {}
    images, _ = read_images(pipeline.dataset.root / "train")
    assert len(images) == 3


def test_bad_input_is_counted_and_the_rest_goes_on(pipeline: Pipeline) -> None:
    pipeline.on_image(1, raw(1, "yuv422"))
    pipeline.on_labels(1, [LABEL])
    broken = jpeg(2)
    pipeline.on_image(2, CompressedImage("jpeg", bytes(broken.data)[:200]))
    pipeline.on_labels(2, [LABEL])
    pipeline.on_image(3, CompressedImage("", b""))
    pipeline.on_labels(3, [LABEL])
    pipeline.on_image(4, jpeg(4))
    pipeline.on_labels(
        4,
        [("purple", 1, 1, 9, 9), ("off", 150, 10, 20, 20), ("off", -1, 0, 9, 9),
         ("off", 1, 1, 0, 9), LABEL],
    )  # fmt: skip
    pipeline.on_image(5, jpeg(5))
    pipeline.on_labels(6, [LABEL])
    pipeline.finish()
    statistics = pipeline.statistics
    assert statistics.samples == 1
    assert statistics.skips == {
        "undecodable_frame": 3,
        "unknown_class": 1,
        "region_outside_frame": 2,
        "region_too_small": 1,
        "frame_without_labels": 1,
        "labels_without_frame": 1,
    }


def test_the_first_of_each_reason_is_a_warning(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    for stamp in range(3):
        pipeline.on_image(stamp, jpeg(stamp))
        pipeline.on_labels(stamp, [("purple", 1, 1, 9, 9)])
    assert [record.message for record in caplog.records] == ["frame 0: class 'purple'"]


def test_a_replayed_bag_adds_nothing_also_after_a_restart(tmp_path: Path) -> None:
    for round_ in range(3):
        pipeline = Pipeline(tmp_path, val_share=0.3)
        for stamp in range(10):
            pipeline.on_image(stamp, jpeg(stamp))
            pipeline.on_labels(stamp, [LABEL])
        assert pipeline.statistics.samples == 10
        assert pipeline.statistics.skips == ({"duplicate_frame": 10} if round_ else {})
        pipeline.close()


def test_a_waiting_car_stores_one_picture_until_something_changes(pipeline: Pipeline) -> None:
    still = picture(1).astype(np.int16)
    for stamp in range(8):
        noise = np.random.default_rng(stamp).normal(0, 1.5, still.shape)
        frame = np.clip(still + noise, 0, 255).astype(np.uint8)
        if stamp >= 5:
            frame[40:90, 50:70] = (0, 255, 0)  # the light changes
        name = "red_circle" if stamp < 5 else "green_circle"
        pipeline.on_image(stamp, RawImage(120, 160, "rgb8", 0, 480, frame.tobytes()))
        pipeline.on_labels(stamp, [(name, 50, 40, 20, 50)])
    assert pipeline.statistics.samples == 2
    assert pipeline.statistics.skips == {"near_duplicate": 6}


def test_a_slow_change_is_stored_in_the_end(pipeline: Pipeline) -> None:
    for stamp in range(40):
        frame = np.full((120, 160, 3), 60 + stamp, np.uint8)  # one grey level a frame
        pipeline.on_image(stamp, RawImage(120, 160, "rgb8", 0, 480, frame.tobytes()))
        pipeline.on_labels(stamp, [LABEL])
    assert pipeline.statistics.samples == 20


def test_labels_of_one_frame_are_bounded(pipeline: Pipeline) -> None:
    endless = itertools.repeat(LABEL)
    pipeline.on_image(1, raw(1))
    pipeline.on_labels(1, endless)
    assert pipeline.statistics.skips == {"too_many_labels": 1}
    pipeline.on_labels(1, itertools.islice(endless, 256))
    assert "too_many_labels" in pipeline.statistics.skips
    assert pipeline.statistics.samples > 0


def test_frames_that_wait_are_bounded_by_what_they_take(pipeline: Pipeline) -> None:
    for stamp in range(4):
        pipeline.on_image(stamp, CompressedImage("jpeg", bytes(64 << 20)))
    assert pipeline.statistics.skips == {"frame_without_labels": 2}
