"""The images that an experiment trains and tests on: a folder of any images, or synthetic crops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from bift_ros.experiments.federation import crops_digest, make_data
from bift_ros.learning.data import CROP_SIZE, Crops
from bift_ros.perception.bags import BagError
from bift_ros.perception.classes import CLASS_INDEX, CLASSES
from bift_ros.synthesis.from_images import find_pictures


class DataError(ValueError):
    """The folder can't be used, with the remedy."""


@dataclass(frozen=True)
class Dataset:
    """What to train on and what to test on."""

    train: Crops
    test: Crops
    unreadable: tuple[str, ...] = ()
    """Files that are no images."""

    @property
    def digest(self) -> str:
        """Tells these crops apart from any others."""
        return crops_digest(self.train, self.test)

    def class_counts(self) -> dict[str, dict[str, int]]:
        """train and test → class → crops."""
        counts = {}
        for name, crops in (("train", self.train), ("test", self.test)):
            of_class = torch.bincount(crops.labels, minlength=len(CLASSES)).tolist()
            counts[name] = dict(zip(CLASSES, of_class, strict=True))
        return counts


def load_images(folder: Path, classes: Mapping[str, str]) -> Dataset:
    """Read ``train/CLASS/*`` and ``test/CLASS/*``: images of any size, scaled to 32×32.

    ``classes`` maps folders that aren't named after a class. Files that are no images are left out
    and named. Raises DataError where a folder is missing, empty or of an unknown class.
    """
    unreadable: list[str] = []
    train, test = (_load_split(folder / name, classes, unreadable) for name in ("train", "test"))
    return Dataset(train, test, tuple(unreadable))


def load_synthetic(
    folder: Path, train: int, test: int, say: Callable[[str], None] = lambda text: None
) -> Dataset:
    """So many synthetic crops, made below a folder where they aren't yet."""
    place = folder / f"{train}-{test}"
    make_data(place, train, test, say)
    return load_images(place, {})


def _load_split(folder: Path, classes: Mapping[str, str], unreadable: list[str]) -> Crops:
    if not folder.is_dir():
        raise DataError(f"no folder {folder}: --data needs train/CLASS/* and test/CLASS/* images")
    try:
        pictures = find_pictures(folder, classes)
    except BagError as error:
        raise DataError(str(error)) from error
    images, labels = [], []
    for name, path in pictures:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            unreadable.append(str(path))
            continue
        images.append(_to_crop(image))
        labels.append(CLASS_INDEX[name])
    if not images:
        raise DataError(f"{folder} holds no readable image: {len(pictures)} files were tried")
    stacked = torch.from_numpy(np.stack(images))
    return Crops(stacked.permute(0, 3, 1, 2), torch.tensor(labels, dtype=torch.int64))


def _to_crop(bgr: np.ndarray) -> np.ndarray:
    """BGR of any size → RGB uint8[32, 32, 3]."""
    if bgr.shape[:2] != (CROP_SIZE, CROP_SIZE):
        shrinks = min(bgr.shape[:2]) > CROP_SIZE
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        bgr = cv2.resize(bgr, (CROP_SIZE, CROP_SIZE), interpolation=how)
    return np.ascontiguousarray(bgr[:, :, ::-1])
