"""From made frames to a vehicle's bag and a held-out test set: stamps, latencies, file names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from bift_ros.identity.vehicle_names import vehicle_name
from bift_ros.perception.bag_writer import BagWriter
from bift_ros.perception.bags import BagError
from bift_ros.perception.classes import CLASSES, Label
from bift_ros.perception.crops import crop_region
from bift_ros.perception.images import Image, decode_compressed

START_NS = 1_767_225_600 * 10**9  # 2026-01-01T00:00:00Z: made bags give the same bytes each time
PERIOD_NS = 10**8  # 10 Hz

# Called with how many frames are done and how many there will be.
Progress = Callable[[int, int], None]


class EncodedFrame(NamedTuple):
    """A frame as it goes into a bag."""

    jpeg: bytes
    labels: tuple[Label, ...]


# How much of the work a batch was, and its frames.
Batches = Iterable[tuple[int, Sequence[EncodedFrame]]]


@dataclass(frozen=True)
class Recorded:
    """What was written."""

    bags: tuple[Path, ...]
    frames: tuple[int, ...]  # per bag
    labels: tuple[dict[str, int], ...]  # per bag: class → count
    test: Path | None
    test_crops: dict[str, int]  # class → count
    skipped: tuple[str, ...] = ()  # what could not be used, and why


def bag_path(out: Path, vehicle: int) -> Path:
    """Where a vehicle's bag lies below `out`."""
    return out / vehicle_name(vehicle)


class Recording:
    """Bags and a test set below a folder, while they are being written."""

    def __init__(self, out: Path, total: int, progress: Progress | None) -> None:
        """Make the folder `out`; `total` frames are to be told of.

        Raises BagError unless it is new or empty.
        """
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise BagError(
                f"{out} is there and not empty: remove it, or name another folder with --out"
            )
        out.mkdir(parents=True, exist_ok=True)
        self._out = out
        self._total, self._done = total, 0
        self._progress = progress
        self._bags: list[Path] = []
        self._frames: list[int] = []
        self._labels: list[dict[str, int]] = []

    def add_bag(self, batches: Batches, rng: np.random.Generator) -> None:
        """Write the next vehicle's bag; the latencies are drawn from `rng`."""
        vehicle = len(self._bags)
        path = bag_path(self._out, vehicle)
        frames, labels = _record(path, vehicle, self._told(batches), rng)
        self._bags.append(path)
        self._frames.append(frames)
        self._labels.append(labels)

    def finish(
        self, test: Batches | None, crops: int | None = None, skipped: Sequence[str] = ()
    ) -> Recorded:
        """Write the test set, of the frames until they hold so many lights, all where None."""
        folder = None if test is None else self._out / "test"
        tested = {}
        if folder is not None and test is not None:
            tested = _write_test_set(folder, self._told(test), crops)
        return Recorded(
            tuple(self._bags), tuple(self._frames), tuple(self._labels), folder, tested,
            tuple(skipped),
        )  # fmt: skip

    def _told(self, batches: Batches) -> Iterator[EncodedFrame]:
        for done, frames in batches:
            yield from frames
            self._done = min(self._total, self._done + done)
            if self._progress is not None:
                self._progress(self._done, self._total)


def _record(
    path: Path, vehicle: int, frames: Iterable[EncodedFrame], rng: np.random.Generator
) -> tuple[int, dict[str, int]]:
    """Write one vehicle's bag, 10 frames a second, and return its frame and label counts.

    A frame is received 15 to 40 ms after its stamp, its labels 5 to 60 ms after it: either may
    come first, as in a car.
    """
    counts: Counter[str] = Counter()
    number = 0
    with BagWriter(path, vehicle) as bag:
        for number, frame in enumerate(frames, start=1):
            stamp = START_NS + (number - 1) * PERIOD_NS
            seen = stamp + int(rng.integers(15_000_000, 40_000_000))
            told = stamp + int(rng.integers(5_000_000, 60_000_000))
            if told < seen:
                bag.write_labels(told, stamp, frame.labels)
            bag.write_frame(seen, stamp, frame.jpeg)
            if told >= seen:
                bag.write_labels(told, stamp, frame.labels)
            counts.update(label.signal_class for label in frame.labels)
    return number, {name: counts[name] for name in CLASSES if counts[name]}


def _write_test_set(
    folder: Path, frames: Iterable[EncodedFrame], limit: int | None
) -> dict[str, int]:
    """Write frames' crops as `<folder>/<class>/<n>.png`, cut as a vehicle cuts them.

    Asks for no more frames once there are `limit` crops. Returns how many each class has.
    """
    counts: Counter[str] = Counter()
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, crop in islice(_crops(frames), limit):
        path = folder / name / f"{counts[name]:05d}.png"
        if not cv2.imwrite(str(path), crop):
            raise OSError(f"cannot write {path}")
        counts[name] += 1
    return {name: counts[name] for name in CLASSES if counts[name]}


def _crops(frames: Iterable[EncodedFrame]) -> Iterator[tuple[str, Image]]:
    """Each light's class and crop, BGR uint8 [32, 32, 3]."""
    for frame in frames:
        image = decode_compressed(frame.jpeg)
        for name, *box in frame.labels:
            crop = cv2.cvtColor(crop_region(image, *box), cv2.COLOR_RGB2BGR)
            yield name, np.asarray(crop, np.uint8)
