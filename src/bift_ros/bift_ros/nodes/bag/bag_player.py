"""Plays a rosbag at its own pace from a thread, with Bift's own reader: rosbag2 is in no wheel."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path

from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from bift_ros.nodes import parameters
from bift_ros.nodes.lifetime import run_until_signalled
from bift_ros.nodes.quiet_node import QuietNode
from bift_ros.perception.bags import Bag, BagError


class BagPlayer(QuietNode):
    """Its parameters say which bag and how fast; a subclass says what of it goes where."""

    PLAYS: str
    """What there must be in a bag."""

    def __init__(self, name: str, on_finished: Callable[[str | None], None]) -> None:
        """`on_finished` is called from the thread, with an error's text or None."""
        super().__init__(name)
        settings = parameters.declare(self, parameters.CAMERA_REPLAY)
        self._bag, self._rate = settings["bag"], settings["rate"]
        self._on_finished = on_finished
        self._outputs: dict[str, Publisher] = {}
        self._stopping = threading.Event()
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

    def stopped_within(self, seconds: float) -> bool:
        """Wait so long, in the thread; True at once when it is to stop."""
        return self._stopping.wait(seconds)

    def prepare(self, topics: Iterable[str]) -> None:
        """Get ready to play a bag's topics, in the thread."""

    @abstractmethod
    def output(self, topic: str) -> tuple[type, str, QoSProfile] | None:
        """Type, name and profile of where a bag's topic goes; None: nowhere."""

    def speaker(self, topic: str) -> Node:
        """The node that publishes a bag's topic."""
        return self

    def publisher(self, topic: str) -> Publisher | None:
        """That of a bag's topic, where it goes anywhere."""
        output = self.output(topic)
        if output is None:
            return None
        if output[1] not in self._outputs:
            self._outputs[output[1]] = self.speaker(topic).create_publisher(*output)
        return self._outputs[output[1]]

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
        first = None
        with Bag(Path(self._bag)) as bag:
            self.prepare(bag.topics)
            started = time.monotonic()
            for record in bag.messages():
                publisher = self.publisher(record.topic)
                if publisher is None:
                    continue
                first = record.timestamp_ns if first is None else first
                due = started + (record.timestamp_ns - first) / 1e9 / self._rate
                if self.stopped_within(max(0.0, due - time.monotonic())):
                    return
                publisher.publish(bytes(record.data))
        if first is None:
            raise BagError(f"{self._bag} has no {self.PLAYS} messages to replay")


def play(
    player: Callable[[Callable[[str | None], None]], BagPlayer], arguments: list[str] | None
) -> int:
    """Play the bag once, or until SIGINT or SIGTERM; 2 where it can't be played."""
    ended: list[str | None] = []

    def make() -> BagPlayer:
        node = player(ended.append)
        if not node.has_bag:
            raise BagError("nothing to replay: set the parameter bag to a folder")
        return node

    return run_until_signalled(make, arguments, lambda: bool(ended)) or (2 if any(ended) else 0)
