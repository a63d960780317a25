"""The base of a vehicle's nodes."""

from __future__ import annotations

from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.timer import Timer

from bift_ros.nodes.bare_node import BareNode
from bift_ros.nodes.loopback import staying_here


class QuietNode(BareNode):
    """A bare node on the car's bus.

    Timers run on a steady clock, whatever `use_sim_time` says and whoever sets the clock.
    """

    def __init__(self, name: str) -> None:
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        with staying_here():
            super().__init__(name)

    def create_timer(self, *arguments: Any, **named: Any) -> Timer:
        """As every node's, on a clock that nobody sets."""
        named.setdefault("clock", self._steady)
        return super().create_timer(*arguments, **named)
