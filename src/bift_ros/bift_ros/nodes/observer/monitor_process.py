"""The monitor as a process: `ros2 run bift_ros monitor`, or `./bift monitor run`."""

from __future__ import annotations

import sys

from rclpy.exceptions import ParameterException
from rclpy.experimental import EventsExecutor

from bift_ros.nodes.lifetime import ros_until_signalled
from bift_ros.nodes.observer.monitor_node import MonitorNode
from bift_ros.perception.bags import BagError


def main(arguments: list[str] | None = None) -> int:
    """Watch the fleet until SIGINT or SIGTERM; 2 where a setting is wrong."""
    with ros_until_signalled(arguments) as signalled:
        try:
            node = MonitorNode()
        except (ParameterException, BagError, OSError) as error:
            print(f"bift: {error}", file=sys.stderr)
            return 2
        executor = EventsExecutor()
        executor.add_node(node)
        try:
            while not signalled():
                executor.spin_once(timeout_sec=1.0)
        finally:
            executor.shutdown()
            node.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
