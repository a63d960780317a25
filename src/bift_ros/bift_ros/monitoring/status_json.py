"""A status as JSON: one flat object. JSON knows no NaN: a diverged training's loss is `null`.

Only numbers are ever none in a status, so reading gives a NaN back for every null.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from bift_ros.monitoring.status import PARTS, VehicleStatus


def status_json(status: VehicleStatus) -> dict[str, Any]:
    """The object to be written; None for every number that is not finite."""
    document: dict[str, Any] = {}
    for name, value in vars(status).items():
        document |= vars(value) if name in PARTS else {name: value}
    return {name: plain(value) for name, value in document.items()}


def status_from_json(document: Mapping[str, Any]) -> VehicleStatus:
    """The status that was written; what the object lacks is as in a message."""
    status: VehicleStatus = _read(VehicleStatus, document)
    return status


def _read(kind: Any, document: Mapping[str, Any]) -> Any:
    names = [field.name for field in fields(kind)]
    values = {name: _value(document[name]) for name in names if name in document}
    return kind(**values, **{n: _read(PARTS[n], document) for n in names if n in PARTS})


def _value(value: Any) -> Any:
    if value is None:
        return math.nan
    return tuple(value) if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """A value as JSON has it: NaN and infinities become null, arrays of any kind lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return plain(value.item())  # a NumPy scalar
