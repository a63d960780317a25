"""The newest poses of vehicles that publish one on their `pose` topic."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.subscription import Subscription

from bift_ros.monitoring.layout import Pose, pose_of
from bift_ros.nodes import qos
from bift_ros.nodes.bare_node import BareNode

_LOOK_SECONDS = 2.0
_KINDS = {"geometry_msgs/msg/PoseStamped": PoseStamped, "nav_msgs/msg/Odometry": Odometry}


class PoseReader:
    """Reads poses when it is asked: a car may publish a hundred a second, and a display needs few.

    The subscriptions belong to a node that nobody spins, so no pose wakes the process.
    """

    def __init__(self, node: Node, frame: str) -> None:
        """Poses in another frame than `frame` are left out, which is logged once a vehicle."""
        self._frame, self._log = frame, node.get_logger()
        self._node = BareNode("bift_poses", context=node.context, use_global_arguments=False)
        self._subscriptions: dict[str, Subscription] = {}
        self._poses: dict[str, Pose] = {}
        self._elsewhere: set[str] = set()
        self._look_at = 0.0

    def read(self, names: Iterable[str]) -> Mapping[str, Pose]:
        """The newest pose of each of these vehicles that has ever said one."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            self._look(names)
        for name, subscription in self._subscriptions.items():
            with subscription.handle:
                taken = subscription.handle.take_message(subscription.msg_type, False)
            if taken is not None:
                self._take(name, taken[0])
        return self._poses

    def close(self) -> None:
        """Stop reading."""
        self._node.destroy_node()

    def _look(self, names: Iterable[str]) -> None:
        """Subscribe to what is published; a topic that nobody needs costs discovery time."""
        topics = dict(self._node.get_topic_names_and_types())
        for name in names:
            types = topics.get(f"/{name}/pose", ())
            kind = next((_KINDS[each] for each in types if each in _KINDS), None)
            if kind is not None and name not in self._subscriptions:
                self._subscriptions[name] = self._node.create_subscription(
                    kind, f"/{name}/pose", lambda _: None, qos.POSE
                )

    def _take(self, name: str, message: Any) -> None:
        frame = message.header.frame_id.lstrip("/")
        if frame != self._frame:
            if name not in self._elsewhere:
                self._elsewhere.add(name)
                self._log.warning(
                    f"the pose of {name} is in the frame {frame!r}, not in {self._frame!r}, and so "
                    "not shown: publish it there, or set the parameter frame"
                )
            return
        pose = message.pose.pose if isinstance(message, Odometry) else message.pose
        place, turn = pose.position, pose.orientation
        found = pose_of(place.x, place.y, (turn.x, turn.y, turn.z, turn.w))
        if found is not None:
            self._poses[name] = found
