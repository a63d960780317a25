"""The vehicle as its operator sees it: settings, status and answers about its state."""

from __future__ import annotations

from collections.abc import Callable

from bift_msgs.msg import VehicleStatus
from bift_msgs.srv import GetState
from rclpy.node import Node

from bift_ros.nodes import parameters, qos


class VehicleNode(Node):
    """Declares the vehicle-wide settings, publishes `status` and serves `get_state`.

    It is the one node of the vehicle with parameter services: every endpoint costs discovery
    time in a fleet of thirty.
    """

    def __init__(self) -> None:
        super().__init__("vehicle", enable_rosout=False)
        self.settings = parameters.declare(self, parameters.VEHICLE)

    @property
    def vehicle_name(self) -> str:
        """The vehicle's name: its ROS namespace without the slash."""
        return self.get_namespace().strip("/")

    def serve(
        self,
        status: Callable[[], VehicleStatus],
        state_of: Callable[[GetState.Request, GetState.Response], GetState.Response],
    ) -> None:
        """Begin to publish what `status` returns and to answer with `state_of`."""
        publisher = self.create_publisher(VehicleStatus, "status", qos.STATUS)
        self.create_timer(self.settings["status_period"], lambda: publisher.publish(status()))
        self.create_service(GetState, "get_state", state_of)
