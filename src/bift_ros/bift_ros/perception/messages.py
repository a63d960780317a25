"""ROS message types without ROS: the definitions that bags carry, and typed readers of them.

The two label messages have the fields of src/bift_msgs/msg/ (a test compares them): bags must be
written and read on machines where that package is not built.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from bift_ros.perception.classes import Label

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
LIGHTS = "bift_msgs/msg/TrafficLightArray"

DEFINITIONS: dict[str, str] = {
    "bift_msgs/msg/TrafficLight": """\
string<=64 signal_class
sensor_msgs/RegionOfInterest region
""",
    "bift_msgs/msg/TrafficLightArray": """\
std_msgs/Header header
TrafficLight[<=256] lights
""",
}


@cache
def typestore() -> Typestore:
    """The types of ROS 2 Jazzy and ours."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    return store


class MessageError(ValueError):
    """A message's bytes that are not a message of its type."""


def _header(stamp_ns: int, frame_id: str) -> Any:
    types = typestore().types
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    stamp = types["builtin_interfaces/msg/Time"](seconds, nanoseconds)
    return types["std_msgs/msg/Header"](stamp, frame_id)


def _cdr(message: Any, name: str) -> bytes:
    return bytes(typestore().serialize_cdr(message, name))


def image_cdr(stamp_ns: int, frame_id: str, jpeg: bytes) -> bytes:
    """A CompressedImage message as CDR; the format names what image_transport writes for rgb8."""
    kind = typestore().types[COMPRESSED_IMAGE]
    data = np.frombuffer(jpeg, np.uint8)
    message = kind(_header(stamp_ns, frame_id), "rgb8; jpeg compressed bgr8", data)
    return _cdr(message, COMPRESSED_IMAGE)


def lights_cdr(stamp_ns: int, frame_id: str, labels: tuple[Label, ...]) -> bytes:
    """A TrafficLightArray message as CDR."""
    types = typestore().types
    lights = [
        types["bift_msgs/msg/TrafficLight"](
            label.signal_class,
            types["sensor_msgs/msg/RegionOfInterest"](
                label.x, label.y, label.height, label.width, False
            ),
        )
        for label in labels
    ]
    return _cdr(types[LIGHTS](_header(stamp_ns, frame_id), lights), LIGHTS)


def _parse(type_name: str, cdr: bytes) -> Any:
    try:
        return typestore().deserialize_cdr(cdr, type_name)
    except Exception as error:  # the library's reader trusts its bytes: anything may come
        raise MessageError(f"{len(cdr)} bytes are no {type_name}: {error}") from error


def _stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def parse_lights(cdr: bytes) -> tuple[int, tuple[Label, ...]]:
    """Stamp in nanoseconds and labels of a TrafficLightArray message; raises MessageError."""
    message = _parse(LIGHTS, cdr)
    return _stamp_ns(message), tuple(
        Label(
            light.signal_class,
            light.region.x_offset,
            light.region.y_offset,
            light.region.width,
            light.region.height,
        )
        for light in message.lights
    )
