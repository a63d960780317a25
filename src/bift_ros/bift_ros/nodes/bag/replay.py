"""A rosbag as the camera of a vehicle that runs in another process.

Run as `python -m bift_ros.nodes.bag.replay --ros-args -r __ns:=/vehicle_00 -p bag:=FOLDER`;
`replay.launch.py` does that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import rclpy
from rclpy.exceptions import ParameterException

from bift_ros.nodes.bag.bag_player import BagPlayer
from bift_ros.nodes.bag.replay_node import ReplayNode
from bift_ros.nodes.lifetime import ros_until_signalled


def play(
    player: Callable[[Callable[[str | None], None]], BagPlayer], arguments: list[str] | None
) -> int:
    """Play the bag once, or until SIGINT or SIGTERM; 2 where it can't be played."""
    ended: list[str | None] = []
    with ros_until_signalled(arguments) as signalled:
        try:
            node = player(ended.append)
        except ParameterException as error:
            print(f"bift: {error}", file=sys.stderr)
            return 2
        if not node.has_bag:
            print("bift: nothing to replay: set the parameter bag to a folder", file=sys.stderr)
            return 2
        node.start()
        while not (signalled() or ended):
            rclpy.spin_once(node, timeout_sec=0.2)
        node.stop()
        node.destroy_node()
    return 2 if any(ended) else 0


def main(arguments: list[str] | None = None) -> int:
    """Play the bag of the parameters."""
    return play(ReplayNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
