"""Every interface of the package loads, and what is written is what is read."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
from rclpy.serialization import deserialize_message, serialize_message


def parts_of(interface: type) -> list[type]:
    """The messages that an interface is made of: itself, or those of a service."""
    if hasattr(interface, "get_fields_and_field_types"):
        return [interface]
    return [interface.Request, interface.Response]


def interfaces() -> list[type]:
    """All that the package defines."""
    found = []
    for kind in ("msg", "srv"):
        module = importlib.import_module(f"bift_msgs.{kind}")
        found += [value for _, value in inspect.getmembers(module, inspect.isclass)]
    return found


MESSAGES = [part for interface in interfaces() for part in parts_of(interface)]


def filled(message: Any) -> Any:
    """The message with its numbers, flags and texts other than they are by default."""
    for name, value in message.get_fields_and_field_types().items():
        if value == "string" or value.startswith("string<"):
            setattr(message, name, "x")
        elif value.startswith(("uint", "int")) and value.strip("uint").isdigit():
            setattr(message, name, 7)
        elif value == "boolean":
            setattr(message, name, True)
    return message


def test_the_package_has_messages_and_services() -> None:
    kinds = {interface.__module__.split(".")[1] for interface in interfaces()}
    assert kinds == {"msg", "srv"}


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_what_is_written_is_what_is_read(kind: Any) -> None:
    message = filled(kind())
    assert deserialize_message(serialize_message(message), kind) == message
