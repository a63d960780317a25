"""Plays a rosbag as this vehicle's camera and map."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from bift_msgs.msg import TrafficLightArray
from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage, Image

from bift_ros.nodes import parameters, qos
from bift_ros.nodes.quiet_node import QuietNode
from bift_ros.perception.bags import BagError, read_bag
from bift_ros.perception.replay_topics import CAMERA_TOPICS, relative_topic

_KINDS = dict(zip(CAMERA_TOPICS, (Image, CompressedImage, TrafficLightArray), strict=True))


class ReplayNode(QuietNode):
    """Publishes a bag's camera and label messages at their own pace, from a thread."""

    def __init__(self, on_finished: Callable[[str | None], None]) -> None:
        """`on_finished` is called from the thread, with an error's text or None."""
        super().__init__("camera_replay")
        settings = parameters.declare(self, parameters.CAMERA_REPLAY)
        self._bag, self._rate = settings["bag"], settings["rate"]
        self._on_finished = on_finished
        self._stopping = threading.Event()
        self._outputs: dict[str, Publisher] = {}
        self._thread: threading.Thread | None = None

    @property
    def has_bag(self) -> bool:
        """Whether there is anything to play."""
        return bool(self._bag)

    def start(self) -> None:
        """Begin to play."""
        self._thread = threading.Thread(target=self._play, name="replay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop playing and wait for the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _play(self) -> None:
        error = None
        try:
            self._publish_all()
        except (BagError, OSError) as problem:
            error = str(problem)
            self.get_logger().error(f"replay of {self._bag}: {error}")
        if not self._stopping.is_set():
            self._on_finished(error)

    def _publish_all(self) -> None:
        started = time.monotonic()
        first = None
        for record in read_bag(Path(self._bag)):
            publisher = self._publisher(record.topic)
            if publisher is None:
                continue
            first = record.timestamp_ns if first is None else first
            due = started + (record.timestamp_ns - first) / 1e9 / self._rate
            if self._stopping.wait(max(0.0, due - time.monotonic())):
                return
            publisher.publish(bytes(record.data))
        if first is None:
            raise BagError(f"{self._bag} has no camera or traffic light messages to replay")

    def _publisher(self, topic: str) -> Publisher | None:
        name = relative_topic(topic)
        if name is None:
            return None
        if name not in self._outputs:
            self._outputs[name] = self.create_publisher(_KINDS[name], name, qos.REPLAY)
        return self._outputs[name]
