"""Any folder of images, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from bift_ros.experiments.datasets import DataError, load_images, load_synthetic
from bift_ros.learning.data import load_crops
from bift_ros.perception.classes import CLASS_INDEX


def write(path: Path, height: int, width: int, bgr: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((height, width, 3), bgr, np.uint8)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "train" / "red_circle" / "a.png", 100, 60, (0, 0, 200))
    write(tmp_path / "train" / "red_circle" / "b.bmp", 8, 8, (0, 0, 100))
    write(tmp_path / "train" / "green_circle" / "deep" / "c.jpg", 32, 32, (0, 200, 0))
    write(tmp_path / "test" / "off" / "d.png", 500, 500, (9, 9, 9))
    return tmp_path


def test_images_of_any_size_and_format_become_crops(folder: Path) -> None:
    data = load_images(folder, {})
    assert data.train.images.shape == (3, 3, 32, 32)
    green, red = CLASS_INDEX["green_circle"], CLASS_INDEX["red_circle"]
    assert data.train.labels.tolist() == [green, red, red]
    assert (data.train.images[1] == np.array([200, 0, 0])[:, None, None]).all()  # RGB
    assert data.test.labels.tolist() == [CLASS_INDEX["off"]]
    assert data.class_counts()["train"]["red_circle"] == 2
    assert data.unreadable == ()


def test_crops_stay_as_they_are(tmp_path: Path) -> None:
    data = load_synthetic(tmp_path, train=30, test=10)
    assert (len(data.train), len(data.test)) == (30, 10)
    plain = load_crops(tmp_path / "train")
    assert (data.train.images == plain.images).all()
    assert (data.train.labels == plain.labels).all()
    assert load_synthetic(tmp_path, train=30, test=10).digest == data.digest


def test_the_digest_tells_crops_apart(folder: Path) -> None:
    before = load_images(folder, {}).digest
    write(folder / "test" / "off" / "d.png", 500, 500, (9, 9, 10))
    assert load_images(folder, {}).digest != before


def test_unreadable_files_are_left_out_and_named(folder: Path) -> None:
    bad = folder / "train" / "off" / "bad.png"
    bad.parent.mkdir()
    bad.write_bytes(b"no image")
    data = load_images(folder, {})
    assert data.unreadable == (str(bad),)
    assert len(data.train) == 3


def test_folders_of_other_names_need_a_class(folder: Path) -> None:
    for split in ("train", "test"):
        write(folder / split / "stop" / "x.png", 20, 20, (0, 0, 255))
    with pytest.raises(DataError, match=r"stop is not named after a class: give --classes stop="):
        load_images(folder, {})
    data = load_images(folder, {"stop": "red_circle"})
    assert data.class_counts()["train"]["red_circle"] == 3
    assert data.class_counts()["test"]["red_circle"] == 1


def test_missing_and_empty_folders_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*nowhere/train: --data needs train/CLASS"):
        load_images(tmp_path / "nowhere", {})
    (folder / "test" / "off" / "d.png").write_bytes(b"")
    with pytest.raises(DataError, match="holds no readable image: 1 files were tried"):
        load_images(folder, {})
