"""A status as JSON, which knows no NaN: a diverged training's loss is `null` there.

Only numbers are ever none in a status, so reading gives a NaN back for every null.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from bift_ros.monitoring.sightings import Status


def to_json(status: Status) -> dict[str, Any]:
    """The object to be written; None for every number that is not finite."""
    return {name: plain(value) for name, value in status.items()}


def from_json(document: Mapping[str, Any]) -> dict[str, Any]:
    """The status that was written."""
    return {name: math.nan if value is None else value for name, value in document.items()}


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
