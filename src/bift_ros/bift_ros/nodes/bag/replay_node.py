"""Plays a rosbag as this vehicle's camera and map.

As the camera of a vehicle that runs in another process, run as
`python -m bift_ros.nodes.bag.replay_node --ros-args -r __ns:=/vehicle_00 -p bag:=FOLDER`;
`replay.launch.py` does that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from bift_msgs.msg import TrafficLightArray
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image

from bift_ros.nodes import qos
from bift_ros.nodes.bag.bag_player import BagPlayer, play
from bift_ros.perception.replay_topics import CAMERA_TOPICS, relative_topic

_KINDS = dict(zip(CAMERA_TOPICS, (Image, CompressedImage, TrafficLightArray), strict=True))


class ReplayNode(BagPlayer):
    """Publishes a bag's camera and label messages, whatever vehicle they were recorded on."""

    PLAYS = "camera or traffic light"

    def __init__(self, on_finished: Callable[[str | None], None]) -> None:
        """`on_finished` is called from the thread, with an error's text or None."""
        super().__init__("camera_replay", on_finished)

    def output(self, topic: str) -> tuple[type, str, QoSProfile] | None:
        """The vehicle's own topic of that name."""
        name = relative_topic(topic)
        return (_KINDS[name], name, qos.REPLAY) if name is not None else None


def main(arguments: list[str] | None = None) -> int:
    """Play the bag of the parameters."""
    return play(ReplayNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
