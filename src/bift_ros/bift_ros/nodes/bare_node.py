"""A node without what ROS gives every node and nobody asks."""

from __future__ import annotations

from typing import Any

from rcl_interfaces.msg import ParameterEvent
from rclpy.node import Node
from rclpy.parameter import Parameter

_NO_TYPE_DESCRIPTIONS = [Parameter("start_type_description_service", value=False)]


class _Unheard:
    """What a node has in place of its publisher of parameter events."""

    def publish(self, event: ParameterEvent) -> None:
        """Tell nobody."""


class BareNode(Node):
    """Has no endpoints but those that it is given.

    It goes without the log over DDS, descriptions of types, parameter services and parameter
    events: settings are read once, at the start, and anybody on the domain could set
    `use_sim_time`, which stops every timer. Every endpoint is discovered by all other
    participants: in a fleet of thirty, 870 times.
    """

    def __init__(self, name: str, **named: Any) -> None:
        super().__init__(
            name,
            enable_rosout=False,
            start_parameter_services=False,
            parameter_overrides=_NO_TYPE_DESCRIPTIONS,
            **named,
        )

    def create_publisher(self, msg_type: Any, *arguments: Any, **named: Any) -> Any:
        """As every node's; but that of parameter events, which rclpy asks for, tells nobody."""
        # Made and destroyed, it would be announced and withdrawn.
        if msg_type is ParameterEvent:
            return _Unheard()
        return super().create_publisher(msg_type, *arguments, **named)
