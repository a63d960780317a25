"""The base of a vehicle's nodes."""

from __future__ import annotations

from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.timer import Timer

from bift_ros.nodes.bus_node import NO_TYPE_DESCRIPTIONS
from bift_ros.nodes.loopback import staying_here


class QuietNode(Node):
    """A node without what ROS gives every node and nobody asks of a vehicle's.

    That is the log over DDS, descriptions of types, and parameter services: settings are read once,
    at the start, and anybody on the domain could set `use_sim_time`, which stops every timer.
    Timers run on a steady clock, whatever `use_sim_time` says and whoever sets the clock.
    Every endpoint is discovered by all other participants: in a fleet of thirty, 870 times.
    """

    def __init__(self, name: str) -> None:
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        with staying_here():
            super().__init__(
                name,
                enable_rosout=False,
                start_parameter_services=False,
                parameter_overrides=NO_TYPE_DESCRIPTIONS,
            )

    def create_timer(self, *arguments: Any, **named: Any) -> Timer:
        """As every node's, on a clock that nobody sets."""
        named.setdefault("clock", self._steady)
        return super().create_timer(*arguments, **named)
