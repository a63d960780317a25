"""Records what a fleet says to a rosbag2 (MCAP), without rosbag2: to be watched again later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from rclpy.qos import DurabilityPolicy
from rclpy.serialization import serialize_message
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from bift_ros.nodes.fleet_topics import kind_of
from bift_ros.perception.bag_writer import offered_qos, start_bag
from bift_ros.perception.bags import BagError


@cache
def _types() -> Typestore:
    """Jazzy's types and ours, as bags must describe them."""
    store = get_typestore(Stores.ROS2_JAZZY)
    found = {}
    for file in Path(get_package_share_directory("bift_msgs"), "msg").glob("*.msg"):
        found.update(get_types_from_msg(file.read_text(), f"bift_msgs/msg/{file.stem}"))
    store.register(found)
    return store


class FleetRecorder:
    """Give `take` each message as it comes; `close` completes the bag.

    Both raise BagError where the bag cannot be written any more; it has ended then. A bag that was
    not completed lacks its end, and is read as far as it goes.
    """

    def __init__(self, path: Path) -> None:
        """Begin the bag folder `path`; raises BagError where there is something already."""
        self._path, self._writer = path, start_bag(path)
        self._connections: dict[str, Any] = {}
        self._last_ns = 0

    def take(self, topic: str, message: Any) -> None:
        """Write a message of one of the fleet's topics, as received now."""
        self._last_ns = max(self._last_ns, time.time_ns())  # lest a clock that is set back count
        with self._ended_by_errors():
            self._writer.write(self._connection(topic), self._last_ns, serialize_message(message))

    def close(self) -> None:
        """Complete the bag."""
        with self._ended_by_errors():
            self._writer.close()

    @contextmanager
    def _ended_by_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer.__exit__(type(error), error, None)  # leaves the file as it is
            raise BagError(
                f"{self._path} was not recorded to its end: {error.strerror}. Make room, and "
                "record to another folder"
            ) from error

    def _connection(self, topic: str) -> Any:
        if topic not in self._connections:
            kind = kind_of(topic)
            assert kind is not None, topic
            latched = kind.profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            self._connections[topic] = self._writer.add_connection(
                topic,
                kind.type_name,
                typestore=_types(),
                offered_qos_profiles=[offered_qos(kind.profile.depth, latched=latched)],
            )
        return self._connections[topic]
