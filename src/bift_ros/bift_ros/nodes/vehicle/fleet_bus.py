"""A vehicle on the fleet's bus: three topics and catch-up, on a ROS context and thread of its own.

Nothing else of a vehicle is on that bus, and nothing that comes from it reaches the dataset, the
training or the owner's services.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bift_msgs import msg
from rclpy.qos import QoSProfile

from bift_ros.nodes import fleet_topics, qos
from bift_ros.nodes.background_node import BackgroundNode
from bift_ros.nodes.buses import Bus

_TOPICS = (
    (msg.Transaction, fleet_topics.TRANSACTIONS, qos.TRANSACTIONS, qos.TRANSACTIONS_READER),
    (msg.Block, fleet_topics.BLOCKS, qos.BLOCKS, qos.BLOCKS_READER),
    (msg.Tip, fleet_topics.TIPS, qos.TIPS, qos.FLEET_READER),
)

_AT_ONCE = 64
"""Messages of a topic that are taken before the others have their turn."""


class FleetBus:
    """Hands on what arrives as bytes, and publishes; `node` is where catch-up stands."""

    def __init__(self, name: str, arrived: Callable[[type, bytes], None]) -> None:
        """`arrived` is called from the bus's thread, with a message's type and its CDR.

        Raises BusError and OSError.
        """
        self._background = BackgroundNode(Bus.FLEET, "peer", name)
        self.node = self._background.node
        self._publishers: dict[type, Any] = {}
        for kind, topic, writer, reader in _TOPICS:
            self._publishers[kind] = self.node.create_publisher(kind, topic, writer)
            self._listen(kind, topic, reader, arrived)

    def start(self) -> None:
        """Begin to listen."""
        self._background.start()

    def close(self) -> None:
        """Leave the bus."""
        self._background.close()

    def publish(self, message: Any) -> None:
        """Say it to the fleet, from any thread."""
        self._publishers[type(message)].publish(message)

    def _listen(
        self, kind: type, topic: str, profile: QoSProfile, arrived: Callable[[type, bytes], None]
    ) -> None:
        def heard(data: bytes) -> None:
            arrived(kind, data)
            for _ in range(_AT_ONCE - 1):
                with subscription.handle:
                    taken = subscription.handle.take_message(kind, True)
                if taken is None:
                    return
                arrived(kind, taken[0])

        subscription = self.node.create_subscription(kind, topic, heard, profile, raw=True)
