"""A vehicle's camera as the fleet's global model sees it, in a process of its own.

Run as `./bift monitor camera vehicle_00`; `monitor.launch.py` does that for `camera:=vehicle_00`.
"""

from __future__ import annotations

import sys

import rclpy
from rclpy.exceptions import ParameterException

from bift_ros.nodes.lifetime import ros_until_signalled
from bift_ros.nodes.observer.camera_view_node import CameraViewNode
from bift_ros.storage.interface import StorageError


def main(arguments: list[str] | None = None) -> int:
    """Publish until SIGINT or SIGTERM; 2 where the settings are wrong."""
    with ros_until_signalled(arguments) as signalled:
        try:
            node = CameraViewNode()
        except (ParameterException, StorageError, OSError) as error:
            print(f"bift: {error}", file=sys.stderr)
            return 2
        node.start()
        while not signalled():
            rclpy.spin_once(node, timeout_sec=0.2)
        node.stop()
        node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(main())
