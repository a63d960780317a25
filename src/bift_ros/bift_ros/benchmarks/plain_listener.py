"""The least that a listener in rclpy can be: the peer of `./bift bench monitor`.

Run as `python -m bift_ros.benchmarks.plain_listener 30`. It hears what a monitor hears of
thirty vehicles at rest, and drops it.
"""

from __future__ import annotations

import sys

import rclpy
from rclpy.experimental import EventsExecutor

from bift_ros.identity.vehicle_names import vehicle_name
from bift_ros.nodes import fleet_topics


def main() -> None:
    """Listen until killed."""
    rclpy.init()
    node = rclpy.create_node("listener", enable_rosout=False, start_parameter_services=False)
    topics = [fleet_topics.TIPS] + [
        fleet_topics.vehicle_topic(vehicle_name(number), topic)
        for number in range(int(sys.argv[1]))
        for topic in (fleet_topics.STATUS, fleet_topics.PROGRESS)
    ]
    for topic in topics:
        kind = fleet_topics.kind_of(topic)
        assert kind is not None, topic
        node.create_subscription(kind.type, topic, lambda message: None, kind.profile)
    executor = EventsExecutor()
    executor.add_node(node)
    while True:
        executor.spin_once(timeout_sec=1.0)


if __name__ == "__main__":
    main()
