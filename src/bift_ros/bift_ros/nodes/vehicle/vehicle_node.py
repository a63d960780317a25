"""The vehicle as its operator sees it: settings, status and answers about its state."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from bift_msgs import msg
from bift_msgs.srv import GetState

from bift_ros.monitoring.status import REST_SECONDS, VehicleStatus
from bift_ros.nodes import parameters, qos
from bift_ros.nodes.quiet_node import QuietNode
from bift_ros.nodes.status_message import status_to_message
from bift_ros.nodes.vehicle.status import news_of
from bift_ros.nodes.vehicle.status_file import StatusFile

_FILE_ERROR_SECONDS = 60.0
"""Between two complaints of the log about the status file."""


class VehicleNode(QuietNode):
    """Declares the vehicle-wide settings, publishes `status` and serves `get_state`."""

    def __init__(self) -> None:
        super().__init__("vehicle")
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
        """Begin to publish what `status` returns, and to answer with `state_of`."""
        publisher = self.create_publisher(msg.VehicleStatus, "status", qos.STATUS)
        path = self.settings["status_file"]
        file = StatusFile(Path(path)) if path else None
        said, said_at = "", -math.inf

        def publish() -> None:
            nonlocal said, said_at
            current, now = status(), time.monotonic()
            news = news_of(current)
            if news == said and now - said_at < REST_SECONDS:
                return
            said, said_at = news, now
            publisher.publish(status_to_message(current, self.get_clock().now().to_msg()))
            if file is not None:
                self._write(file, current)

        self.create_timer(self.settings["status_period"], publish)
        self.create_service(GetState, "get_state", state_of)

    def _write(self, file: StatusFile, status: VehicleStatus) -> None:
        try:
            file.write(status)
        except OSError as error:  # such as a full disk, which is no reason to stop
            self.get_logger().error(
                f"no status file: {error}", throttle_duration_sec=_FILE_ERROR_SECONDS
            )
