"""The images that an experiment trains and tests on: a folder of any images, or synthetic crops."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from bift_ros.learning.data import CROP_SIZE, Crops
from bift_ros.perception.bags import BagError
from bift_ros.perception.classes import CLASS_INDEX, CLASSES
from bift_ros.perception.images import ImageError, read_picture
from bift_ros.synthesis.from_images import find_pictures
from bift_ros.synthesis.synth import synthesize

_SYNTH_SEEDS = {"train": 101, "test": 102}


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
        """Tells these crops apart from any others: 16 hex digits of SHA-256."""
        digest = hashlib.sha256()
        for crops in (self.train, self.test):
            digest.update(crops.images.permute(0, 2, 3, 1).numpy().tobytes())
            digest.update(crops.labels.numpy().tobytes())
        return digest.hexdigest()[:16]

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
    """The crops of a folder, of which so many synthetic ones are made where train/ or test/ lacks.

    Raises DataError for a folder that can't be used.
    """
    for name, count in (("train", train), ("test", test)):
        if (folder / name).is_dir():
            continue
        say(f"making {count} crops in {folder / name}")
        scratch = folder / f".{name}"
        shutil.rmtree(scratch, ignore_errors=True)
        synthesize(1, 1, scratch, _SYNTH_SEEDS[name], test_crops=count)
        (scratch / "test").rename(folder / name)
        shutil.rmtree(scratch)
    return load_images(folder, {})


def _load_split(folder: Path, classes: Mapping[str, str], unreadable: list[str]) -> Crops:
    if not folder.is_dir():
        raise DataError(f"no folder {folder}: --data needs train/CLASS/* and test/CLASS/* images")
    try:
        pictures = find_pictures(folder, classes)
    except BagError as error:
        raise DataError(str(error)) from error
    images, labels = [], []
    for name, path in pictures:
        try:
            image = read_picture(path)
        except (ImageError, OSError):
            unreadable.append(str(path))
            continue
        images.append(_to_crop(image))
        labels.append(CLASS_INDEX[name])
    if not images:
        raise DataError(f"{folder} holds no readable image: {len(pictures)} files were tried")
    stacked = torch.from_numpy(np.stack(images))
    return Crops(stacked.permute(0, 3, 1, 2), torch.tensor(labels, dtype=torch.int64))


def _to_crop(image: np.ndarray) -> np.ndarray:
    """A picture of any size as one of [32, 32, 3]."""
    if image.shape[:2] != (CROP_SIZE, CROP_SIZE):
        shrinks = min(image.shape[:2]) > CROP_SIZE
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image = cv2.resize(image, (CROP_SIZE, CROP_SIZE), interpolation=how)
    return image
