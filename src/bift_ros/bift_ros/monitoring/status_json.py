"""A status as JSON, which knows no NaN: a diverged training's loss is `null` there.

Only numbers are ever none in a status, so reading gives a NaN back for every null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bift_ros.monitoring.sightings import Status


def to_json(status: Status) -> dict[str, Any]:
    """The object to be written; None for every number that is not finite."""
    return {name: None if _is_no_number(value) else value for name, value in status.items()}


def from_json(document: Mapping[str, Any]) -> dict[str, Any]:
    """The status that was written."""
    return {name: math.nan if value is None else value for name, value in document.items()}


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
