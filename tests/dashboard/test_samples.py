"""Crops are shown from a vehicle's folder on this machine, and nothing but crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bift_ros.dashboard.samples import SHOWN_PER_CLASS, crop_file, samples_of
from bift_ros.perception.classes import CLASSES
from bift_ros.perception.dataset import Dataset, frame_key


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Nine frames with a red light each, and one with a green one."""
    with Dataset(tmp_path / "dataset", val_share=0.3) as kept:
        for stamp in range(1, 11):
            name = "green_circle" if stamp == 10 else "red_circle"
            crop = np.full((32, 32, 3), stamp, np.uint8)
            kept.add_frame(frame_key(stamp, b"frame"), stamp, [(name, crop)])
    return tmp_path / "dataset"


def test_every_class_is_counted_and_the_newest_crops_named(dataset: Path) -> None:
    classes = {c.name: c for c in samples_of(dataset)}
    assert tuple(classes) == CLASSES
    red, green = classes["red_circle"], classes["green_circle"]
    assert red.train + red.val == 9
    assert red.val > 0
    assert len(red.newest) == SHOWN_PER_CLASS
    assert [int(place.split("/")[2].split("-")[0]) for place in red.newest] == [9, 8, 7, 6, 5, 4]
    assert len(green.newest) == green.train + green.val == 1
    for place in red.newest:
        file = crop_file(dataset, *place.split("/"))
        assert file is not None
        assert file.read_bytes().startswith(b"\x89PNG")


def test_without_a_folder_every_class_is_empty() -> None:
    assert all(c.train == c.val == len(c.newest) == 0 for c in samples_of(None))


@pytest.mark.parametrize(
    ("split", "name", "file"),
    [
        ("..", "red_circle", "1-a-0.png"),
        ("train", "..", "index.sqlite3"),
        ("train", "red_circle", "../../index.sqlite3"),
        ("train", "red_circle", "..png"),
        ("train", "red_circle", "1-none-0.png"),
        ("train", "red_circle", "1-a-0.part"),
    ],
)
def test_what_names_no_crop_gives_none(dataset: Path, split: str, name: str, file: str) -> None:
    assert crop_file(dataset, split, name, file) is None
