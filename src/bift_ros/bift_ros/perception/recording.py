"""From made frames to a vehicle's bag and a held-out test set: stamps, latencies, file names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from bift_ros.identity.vehicle_names import vehicle_name
from bift_ros.perception.bags import BagError, BagWriter
from bift_ros.perception.classes import CLASSES, Label
from bift_ros.perception.crops import crop_region
from bift_ros.perception.images import decode_compressed

START_NS = 1_767_225_600 * 10**9  # 2026-01-01T00:00:00Z: made bags give the same bytes each time
PERIOD_NS = 10**8  # 10 Hz

# Called with how many frames are done and how many there will be.
Progress = Callable[[int, int], None]


class EncodedFrame(NamedTuple):
    """A frame as it goes into a bag."""

    jpeg: bytes
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Recorded:
    """What was written."""

    bags: tuple[Path, ...]
    frames: tuple[int, ...]  # per bag
    labels: tuple[dict[str, int], ...]  # per bag: class → count
    test: Path | None
    test_crops: dict[str, int]  # class → count
    skipped: tuple[str, ...] = ()  # what could not be used, and why


def check_empty(out: Path) -> None:
    """Raise BagError unless `out` is a folder to be made, or an empty one."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BagError(
            f"{out} is there and not empty: remove it, or name another folder with --out"
        )


def bag_path(out: Path, vehicle: int) -> Path:
    """Where a vehicle's bag lies below `out`."""
    return out / vehicle_name(vehicle)


def record(
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


def write_test_set(
    folder: Path, frames: Iterable[EncodedFrame], limit: int | None = None
) -> dict[str, int]:
    """Write frames' crops as `<folder>/<class>/<n>.png`, cut as a vehicle cuts them.

    Stops at `limit` crops. Returns how many each class has.
    """
    counts: Counter[str] = Counter()
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for frame in frames:
        image = decode_compressed(frame.jpeg)
        for name, *box in frame.labels:
            if limit is not None and counts.total() >= limit:
                break
            crop = cv2.cvtColor(crop_region(image, *box), cv2.COLOR_RGB2BGR)
            path = folder / name / f"{counts[name]:05d}.png"
            if not cv2.imwrite(str(path), crop):
                raise OSError(f"cannot write {path}")
            counts[name] += 1
    return {name: counts[name] for name in CLASSES if counts[name]}
