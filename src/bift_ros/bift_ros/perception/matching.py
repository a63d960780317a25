"""Pair frames with labels by their stamp; either may come first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

FrameT = TypeVar("FrameT")
LabelsT = TypeVar("LabelsT")


@dataclass
class StampMatcher(Generic[FrameT, LabelsT]):
    """Holds at most `capacity` unmatched frames and as many unmatched label sets.

    Nor does it hold more than `max_bytes` of frames, by what `size_of` says.
    Stamps must be equal to the nanosecond, as in message_filters' ExactTime: labels carry the stamp
    of the frame they describe.
    When a buffer is full, its oldest arrival is given up and counted.
    """

    size_of: Callable[[FrameT], int]
    capacity: int = 30
    max_bytes: int = 128 << 20  # two raw frames of the largest cameras
    frames_without_labels: int = 0
    labels_without_frame: int = 0
    replaced: int = 0  # a second message of the same kind and stamp before the match
    _frames: OrderedDict[int, FrameT] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _labels: OrderedDict[int, LabelsT] = field(default_factory=OrderedDict)

    def add_frame(self, stamp_ns: int, frame: FrameT) -> LabelsT | None:
        """The frame's labels if they have come, which removes them; else keep the frame."""
        if stamp_ns in self._labels:
            return self._labels.pop(stamp_ns)
        self.replaced += self._take_frame(stamp_ns) is not None
        self._frames[stamp_ns] = frame
        self._bytes += self.size_of(frame)
        while len(self._frames) > self.capacity or self._bytes > self.max_bytes:
            self._take_frame(next(iter(self._frames)))
            self.frames_without_labels += 1
        return None

    def add_labels(self, stamp_ns: int, labels: LabelsT) -> FrameT | None:
        """The labels' frame if it has come, which removes it; else keep the labels."""
        frame = self._take_frame(stamp_ns)
        if frame is not None:
            return frame
        self.replaced += stamp_ns in self._labels
        self._labels[stamp_ns] = labels
        if len(self._labels) > self.capacity:
            self._labels.popitem(last=False)
            self.labels_without_frame += 1
        return None

    def finish(self) -> None:
        """Give up and count everything that still waits: no more will come."""
        self.frames_without_labels += len(self._frames)
        self.labels_without_frame += len(self._labels)
        self._frames.clear()
        self._labels.clear()
        self._bytes = 0

    def _take_frame(self, stamp_ns: int) -> FrameT | None:
        frame = self._frames.pop(stamp_ns, None)
        if frame is not None:
            self._bytes -= self.size_of(frame)
        return frame
