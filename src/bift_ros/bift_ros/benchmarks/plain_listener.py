"""The least that a listener in rclpy can be: the peer of `./bift bench monitor`.

Run as `python -m bift_ros.benchmarks.plain_listener 30`. It hears what a monitor hears of
thirty vehicles at rest, and drops it.
"""

from __future__ import annotations

import sys

from bift_ros.identity.vehicle_names import vehicle_name
from bift_ros.nodes import fleet_topics
from bift_ros.nodes.background_node import BackgroundNode
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus


def main() -> None:
    """Listen until killed."""
    own, fleet = BusNode(Bus.OWN, "listener"), BackgroundNode(Bus.FLEET, "listener")
    topics = [fleet_topics.TIPS] + [
        fleet_topics.vehicle_topic(vehicle_name(number), topic)
        for number in range(int(sys.argv[1]))
        for topic in (fleet_topics.STATUS, fleet_topics.PROGRESS)
    ]
    for topic in topics:
        kind = fleet_topics.kind_of(topic)
        assert kind is not None, topic
        node = fleet.node if fleet_topics.is_of_the_fleet(topic) else own.node
        node.create_subscription(kind.type, topic, lambda message: None, kind.profile)
    fleet.start()
    while True:
        own.executor.spin_once(timeout_sec=1.0)


if __name__ == "__main__":
    main()
