"""A vehicle's newest status as a file: for health checks, and for those who hear no DDS."""

from __future__ import annotations

import json
from pathlib import Path

from bift_ros.monitoring.status import VehicleStatus
from bift_ros.monitoring.status_json import status_json


class StatusFile:
    """Holds the status as JSON. Raises OSError."""

    def __init__(self, path: Path) -> None:
        """Begin without one: what an earlier run has left says nothing of this one."""
        self._path = path
        path.unlink(missing_ok=True)

    def write(self, status: VehicleStatus) -> None:
        """Replace the status, so that a reader finds the old one or the new one whole."""
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(status_json(status), allow_nan=False))
        new.replace(self._path)
