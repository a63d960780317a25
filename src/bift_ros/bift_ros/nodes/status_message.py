"""A vehicle's status to and from its ROS message."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from bift_msgs import msg
from builtin_interfaces.msg import Time

from bift_ros.consensus.fields import check_address, check_float
from bift_ros.monitoring.status import PARTS, VehicleStatus
from bift_ros.perception.classes import CLASSES

MAX_TEXT = 500
"""Characters of a status's text that are kept."""
MAX_LINES = 100
"""Lines of a status's list that are kept."""
_MOST = {"equivocations": MAX_LINES, "class_samples": len(CLASSES)}
_OWN = ("name", "address", "state", "mines")


def status_to_message(status: VehicleStatus, stamp: Time) -> msg.VehicleStatus:
    """The message, said at `stamp`."""
    parts = {
        part: getattr(msg, kind.__name__)(**vars(getattr(status, part)))
        for part, kind in PARTS.items()
    }
    return msg.VehicleStatus(stamp=stamp, **{n: getattr(status, n) for n in _OWN}, **parts)


def status_from_message(message: msg.VehicleStatus) -> VehicleStatus:
    """The status, its texts and lists cut to what is kept of anybody's. Raises FieldError."""
    check_address("address", message.address)
    check_float("accuracy", abs(message.task.accuracy), 0.0, 1.0)
    parts = {
        part: kind(**{f.name: _kept(f.name, getattr(message, part)) for f in fields(kind)})
        for part, kind in PARTS.items()
    }
    return VehicleStatus(**{name: _kept(name, message) for name in _OWN}, **parts)


def _kept(name: str, message: Any) -> Any:
    value = getattr(message, name)
    if name in _MOST:
        return tuple(v[:MAX_TEXT] if isinstance(v, str) else v for v in value[: _MOST[name]])
    return value[:MAX_TEXT] if isinstance(value, str) else value
