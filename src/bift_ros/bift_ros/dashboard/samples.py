"""A vehicle's private dataset, looked at where it lies. Nothing here goes over the fleet's network.

A vehicle never sends its crops. They can be seen only where its data folder is on this machine and
a person has named it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bift_ros.perception.classes import CLASSES
from bift_ros.perception.dataset import SPLITS

SHOWN_PER_CLASS = 6

_FILE = re.compile(r"[\w-]+\.png")

FindDataset = Callable[[str], Path | None]
"""The folder of a vehicle's dataset by the vehicle's name; None where there is none."""


@dataclass(frozen=True)
class ClassSamples:
    """The crops of one class."""

    name: str
    train: int
    val: int
    newest: tuple[str, ...]
    """Some of them, newest first, as SPLIT/CLASS/FILE below the dataset's folder."""


def samples_of(dataset: Path | None) -> list[ClassSamples]:
    """Every class's crops, also while the vehicle adds and evicts; None has none.

    Raises OSError where the folder cannot be read.
    """
    if dataset is None:
        return [ClassSamples(name, 0, 0, ()) for name in CLASSES]
    return [_class_samples(dataset, name) for name in CLASSES]


def crop_file(dataset: Path, split: str, name: str, file: str) -> Path | None:
    """The file of a crop; None where the words name no crop, whatever they hold."""
    if split not in SPLITS or name not in CLASSES or not _FILE.fullmatch(file):
        return None
    path = dataset / split / name / file
    return path if path.is_file() else None


def _class_samples(dataset: Path, name: str) -> ClassSamples:
    files = {split: list(_crops(dataset / split / name)) for split in SPLITS}
    newest = sorted(
        ((_stamp(file), f"{split}/{name}/{file}") for split in SPLITS for file in files[split]),
        reverse=True,
    )
    return ClassSamples(
        name,
        train=len(files["train"]),
        val=len(files["val"]),
        newest=tuple(place for _, place in newest[:SHOWN_PER_CLASS]),
    )


def _crops(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        yield from (path.name for path in folder.iterdir() if _FILE.fullmatch(path.name))


def _stamp(file: str) -> int:
    """When the crop's frame was taken: its file's name begins with it, in nanoseconds."""
    stamp = file.split("-")[0]
    return int(stamp) if stamp.isdecimal() else 0
