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


def status_to_message(status: VehicleStatus, stamp: Time) -> msg.VehicleStatus:
    """The message, said at `stamp`; its texts and lists cut to the bounds there."""
    message = _write(status)
    message.stamp = stamp
    return message


def status_from_message(message: msg.VehicleStatus) -> VehicleStatus:
    """The status, its texts and lists cut to what is kept of anybody's. Raises FieldError."""
    check_address("address", message.address)
    check_float("accuracy", abs(message.task.accuracy), 0.0, 1.0)
    status: VehicleStatus = _read(VehicleStatus, message)
    return status


def _write(part: Any) -> Any:
    """Messages and dataclasses have the same names, and fields of the same names."""
    values = {n: _write(v) if n in PARTS else _kept(n, v) for n, v in vars(part).items()}
    return getattr(msg, type(part).__name__)(**values)


def _read(kind: Any, message: Any) -> Any:
    values = {f.name: getattr(message, f.name) for f in fields(kind)}
    return kind(**{n: _read(PARTS[n], v) if n in PARTS else _kept(n, v) for n, v in values.items()})


def _kept(name: str, value: Any) -> Any:
    if name in _MOST:
        return tuple(v[:MAX_TEXT] if isinstance(v, str) else v for v in value[: _MOST[name]])
    return value[:MAX_TEXT] if isinstance(value, str) else value
