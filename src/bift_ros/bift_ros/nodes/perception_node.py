"""Camera and label topics into the private dataset."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bift_msgs.msg import TrafficLightArray
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from bift_ros.nodes import parameters, qos
from bift_ros.perception.pipeline import Pipeline, Statistics

# About ten seconds of a camera: JPEG decoding that falls further behind loses frames.
_BACKLOG = 200


def stamp_ns(header: Any) -> int:
    """A message header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


class PerceptionNode(Node):
    """Hands messages to the pipeline on a thread of its own, so that consensus never waits."""

    def __init__(self, dataset: Path, on_samples: Callable[[int], None]) -> None:
        """`on_samples` is called from the thread whenever the number of samples changes."""
        super().__init__("perception", enable_rosout=False, start_parameter_services=False)
        settings = parameters.declare(self, parameters.PERCEPTION)
        self.pipeline = Pipeline(
            dataset,
            maximum_samples=settings["maximum_samples"],
            validation_share=settings["validation_share"],
        )
        self._on_samples = on_samples
        self._samples = -1
        self.lost_frames = 0
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(_BACKLOG)
        self._thread = threading.Thread(target=self._work, name="perception", daemon=True)
        if settings["image_transport"] == "raw":
            self.create_subscription(Image, "camera/image_raw", self._raw, qos.CAMERA)
        else:
            self.create_subscription(
                CompressedImage, "camera/image_raw/compressed", self._compressed, qos.CAMERA
            )
        self.create_subscription(TrafficLightArray, "traffic_lights", self._labels, qos.CAMERA)

    @property
    def statistics(self) -> Statistics:
        """What has come in and what became of it."""
        return self.pipeline.statistics

    def start(self) -> None:
        """Begin to work on what comes in."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued and stop."""
        self._queue.put(None)
        self._thread.join()

    def wait_idle(self) -> None:
        """Block until all that has come in so far is in the dataset."""
        self._queue.join()

    def _raw(self, m: Image) -> None:
        self._enqueue(
            lambda: self.pipeline.on_raw_image(
                stamp_ns(m.header), m.height, m.width, m.encoding, m.is_bigendian, m.step, m.data
            )
        )

    def _compressed(self, m: CompressedImage) -> None:
        self._enqueue(
            lambda: self.pipeline.on_compressed_image(stamp_ns(m.header), m.format, bytes(m.data))
        )

    def _labels(self, m: TrafficLightArray) -> None:
        labels = [
            (
                light.signal_class,
                light.region.x_offset,
                light.region.y_offset,
                light.region.width,
                light.region.height,
            )
            for light in m.lights
        ]
        self._enqueue(lambda: self.pipeline.on_labels(stamp_ns(m.header), labels))

    def _enqueue(self, job: Callable[[], None]) -> None:
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            self.lost_frames += 1

    def _work(self) -> None:
        self._report()
        while (job := self._queue.get()) is not None:
            job()
            self._report()
            self._queue.task_done()

    def _report(self) -> None:
        samples = self.statistics.samples
        if samples != self._samples:
            self._samples = samples
            self._on_samples(samples)
