"""Writers, clients and servers whose messages are any bytes, under the names of the fleet's types.

Whoever attacks is not bound by the fleet's message definitions. Here a type of ROS' own without
bounds is given another type's name, which is all that DDS goes by.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rcl_interfaces.msg import ParameterValue  # noqa: F401 - loads the package's libraries
from rcl_interfaces.srv import GetParameters
from std_msgs.msg import String

ANY_MESSAGE = String
"""What to make a publisher of, within `named`; it takes bytes."""
ANY_SERVICE = GetParameters
"""What to make a client of, whose request is a sequence of strings; likewise."""


class _Callbacks(ctypes.Structure):
    """The start of `message_type_support_callbacks_t` of rosidl_typesupport_fastrtps_cpp."""

    _fields_ = (("namespace", ctypes.c_char_p), ("name", ctypes.c_char_p))


class _ServiceCallbacks(ctypes.Structure):
    """That of `service_type_support_callbacks_t`, whose members are message type supports."""

    _fields_ = (
        ("namespace", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("request", ctypes.c_void_p),
        ("response", ctypes.c_void_p),
    )


class _TypeSupport(ctypes.Structure):
    """The start of `rosidl_message_type_support_t`, and of the service's."""

    _fields_ = (("identifier", ctypes.c_char_p), ("data", ctypes.c_void_p))


def _data(package: str, kind: str, name: str) -> int:
    library = ctypes.CDLL(f"lib{package}__rosidl_typesupport_fastrtps_c.so")
    what = "message" if kind == "msg" else "service"
    handle = f"get_{what}_type_support_handle__{package}__{kind}__{name}"
    function = getattr(library, f"rosidl_typesupport_fastrtps_c__{handle}")
    function.restype = ctypes.POINTER(_TypeSupport)
    found: int = function().contents.data
    return found


@contextmanager
def _renamed(address: int, namespace: str, name: str) -> Iterator[None]:
    callbacks = _Callbacks.from_address(address)
    before = callbacks.namespace, callbacks.name
    # The structure keeps pointers alone, so the words must outlive it.
    words = namespace.encode(), name.encode()
    _KEPT.append(words)
    callbacks.namespace, callbacks.name = words
    try:
        yield
    finally:
        callbacks.namespace, callbacks.name = before


_KEPT: list[Any] = []


@contextmanager
def named(name: str, package: str = "bift_msgs") -> Iterator[None]:
    """Have what is made of ANY_MESSAGE meanwhile go by a message's name."""
    with _renamed(_data("std_msgs", "msg", "String"), f"{package}::msg", name):
        yield


@contextmanager
def service_named(name: str, package: str = "bift_msgs") -> Iterator[None]:
    """Have what is made of ANY_SERVICE meanwhile go by a service's name."""
    address = _data("rcl_interfaces", "srv", "GetParameters")
    service = _ServiceCallbacks.from_address(address)
    parts = [_TypeSupport.from_address(part).data for part in (service.request, service.response)]
    namespace = f"{package}::srv"
    with (
        _renamed(address, namespace, name),
        _renamed(parts[0], namespace, f"{name}_Request"),
        _renamed(parts[1], namespace, f"{name}_Response"),
    ):
        yield
