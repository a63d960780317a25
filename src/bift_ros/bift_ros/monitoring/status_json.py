"""A status as JSON: one flat object. JSON knows no NaN: a diverged training's loss is `null`.

Only numbers are ever none in a status, so reading gives a NaN back for every null.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from bift_ros.monitoring.status import PARTS, VehicleStatus

_OWN = ("name", "address", "state", "mines")


def status_json(status: VehicleStatus) -> dict[str, Any]:
    """The object to be written; None for every number that is not finite."""
    document = {name: getattr(status, name) for name in _OWN}
    for part in PARTS:
        document |= vars(getattr(status, part))
    return {name: plain(value) for name, value in document.items()}


def status_from_json(document: Mapping[str, Any]) -> VehicleStatus:
    """The status that was written; what the object lacks is as in a message."""
    said = {name: _value(value) for name, value in document.items()}
    parts = {
        part: kind(**{f.name: said[f.name] for f in fields(kind) if f.name in said})
        for part, kind in PARTS.items()
    }
    return VehicleStatus(**{name: said[name] for name in _OWN if name in said}, **parts)


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
