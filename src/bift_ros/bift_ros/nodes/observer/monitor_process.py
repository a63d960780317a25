"""The monitor as a process: `ros2 run bift_ros monitor`, or `./bift monitor run`."""

from __future__ import annotations

import sys

from bift_ros.nodes.lifetime import run_until_signalled
from bift_ros.nodes.observer.monitor_node import MonitorNode


def main(arguments: list[str] | None = None) -> int:
    """Watch the fleet."""
    return run_until_signalled(MonitorNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
