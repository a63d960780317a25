"""Frames and labels in, dataset out: the one object that a camera node drives."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from bift_ros.perception.classes import CLASS_INDEX, MAX_LABELS, Label
from bift_ros.perception.crops import RegionError, crop_region
from bift_ros.perception.dataset import Dataset, frame_key
from bift_ros.perception.images import CompressedImage, Image, ImageError, RawImage
from bift_ros.perception.matching import StampMatcher

log = logging.getLogger(__name__)

# Mean absolute difference in grey levels under which two crops count as the same picture: a
# standing car's sensor noise and JPEG make 1 to 2, another scene makes over 10.
NEAR_DUPLICATE = 2.0


@dataclass(frozen=True)
class Statistics:
    """Counters since the pipeline was made, and the dataset's sizes (which outlive it)."""

    frames_seen: int
    labels_seen: int  # label messages
    train: int
    val: int
    per_class: Mapping[str, int]
    skips: Mapping[str, int]  # reason → how many frames, label sets or regions

    @property
    def samples(self) -> int:
        """Crops in the dataset, both splits."""
        return self.train + self.val


class Pipeline:
    """Match, decode, crop and store. Call it from one thread at a time.

    Nothing that a camera or a labeller sends makes it raise: what cannot be used is counted
    under its reason and logged, the first of each reason as a warning. Only a dataset that
    cannot be written raises (OSError, sqlite3.Error).
    """

    def __init__(
        self, root: Path, *, cap: int = 20_000, val_share: float = 0.1, buffer: int = 30
    ) -> None:
        """`root`, `cap` and `val_share` are the dataset's; `buffer` bounds unmatched messages."""
        self.dataset = Dataset(root, cap, val_share)
        self._matcher: StampMatcher[RawImage | CompressedImage, tuple[Label, ...]] = StampMatcher(
            lambda image: image.nbytes, buffer
        )
        self._frames = self._label_sets = 0
        self._skips: Counter[str] = Counter()
        self._previous: dict[str, list[Image]] = {}

    def on_image(self, stamp_ns: int, image: RawImage | CompressedImage) -> None:
        """Take a camera message; its pixels are decoded only once its labels are there."""
        self._frames += 1
        labels = self._matcher.add_frame(stamp_ns, image)
        if labels is not None:
            self._store(stamp_ns, image, labels)

    def on_labels(self, stamp_ns: int, labels: Iterable[tuple[str, int, int, int, int]]) -> None:
        """Take a frame's labels: (class, x, y, width, height) each, in pixels."""
        self._label_sets += 1
        kept = tuple(Label(*label) for label in islice(labels, MAX_LABELS + 1))
        if len(kept) > MAX_LABELS:
            self._skip("too_many_labels", f"frame {stamp_ns}: over {MAX_LABELS} labels")
            return
        image = self._matcher.add_labels(stamp_ns, kept)
        if image is not None:
            self._store(stamp_ns, image, kept)

    def finish(self) -> None:
        """No more will come: count what found no partner."""
        self._matcher.finish()

    def close(self) -> None:
        """`finish`, and close the dataset."""
        self.finish()
        self.dataset.close()

    @property
    def statistics(self) -> Statistics:
        """A snapshot of the counters."""
        counts = self.dataset.counts()
        matcher = {
            "frame_without_labels": self._matcher.frames_without_labels,
            "labels_without_frame": self._matcher.labels_without_frame,
            "duplicate_message": self._matcher.replaced,
        }
        skips = dict(self._skips) | {reason: n for reason, n in matcher.items() if n}
        return Statistics(
            self._frames, self._label_sets, counts.train, counts.val, counts.per_class, skips
        )

    def _store(
        self, stamp_ns: int, image: RawImage | CompressedImage, labels: tuple[Label, ...]
    ) -> None:
        try:
            key = frame_key(stamp_ns, image.data)
            if self.dataset.has_frame(key):
                self._skip("duplicate_frame", f"frame {stamp_ns} was loaded before")
                return
            pixels = image.decode()
        except ImageError as error:
            self._skip("undecodable_frame", f"frame {stamp_ns}: {error}")
            return
        crops = []
        for label in labels:
            if label.signal_class not in CLASS_INDEX:
                self._skip("unknown_class", f"frame {stamp_ns}: class {label.signal_class!r}")
                continue
            try:
                crops.append((label.signal_class, crop_region(pixels, *label[1:])))
            except RegionError as error:
                self._skip(error.reason, f"frame {stamp_ns}: {error}")
        self.dataset.add_frame(key, stamp_ns, self._new(stamp_ns, crops))

    def _new(self, stamp_ns: int, crops: list[tuple[str, Image]]) -> list[tuple[str, Image]]:
        """The crops that differ from those last stored of their class.

        A car that waits at a red light would else fill its dataset with one picture.
        """
        fresh = []
        stored: dict[str, list[Image]] = {}
        for name, crop in crops:
            before = self._previous.get(name, [])
            same = next((old for old in before if _difference(crop, old) < NEAR_DUPLICATE), None)
            if same is not None:
                self._skip("near_duplicate", f"frame {stamp_ns}: {name} as in the frame before")
            else:
                fresh.append((name, crop))
            # What is compared with is what was stored: a slow change is stored in the end.
            stored.setdefault(name, []).append(crop if same is None else same)
        self._previous.update(stored)
        return fresh

    def _skip(self, reason: str, message: str) -> None:
        self._skips[reason] += 1
        log.log(logging.WARNING if self._skips[reason] == 1 else logging.DEBUG, "%s", message)


def _difference(a: Image, b: Image) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())
