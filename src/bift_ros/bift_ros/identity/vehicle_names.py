"""Vehicle names: each is also its vehicle's ROS namespace."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def vehicle_name(number: int) -> str:
    """The name, and ROS namespace, of a fleet's vehicle number 0, 1, 2, …"""
    return f"vehicle_{number:02d}"


def is_vehicle_name(name: str) -> bool:
    """Tell whether ROS takes `name` as a namespace.

    A genesis may hold others, such as `car-1`; topics below them would be refused by ROS.
    """
    return _NAME.fullmatch(name) is not None
