"""Hears a fleet of processes by the files that its vehicles write their status into.

So it hears them whatever becomes of their network, without a DDS participant of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from bift_ros.fleet.runtimes.docker.health import OLDEST_SECONDS
from bift_ros.monitoring.status import Statuses, VehicleStatus
from bift_ros.monitoring.status_json import status_from_json

_PERIOD_SECONDS = 0.1
"""How often `wait` looks."""


class StatusFiles:
    """A `runtime.Monitor`."""

    def __init__(self, files: Mapping[str, Path], running: Callable[[], Collection[str]]) -> None:
        """`files` are the vehicles' by name; those that are not `running` say nothing."""
        self._files, self._running = files, running
        self._read: dict[str, tuple[int, VehicleStatus]] = {}
        """When the file was written last, and what it holds."""

    @property
    def vehicles(self) -> Statuses:
        """The newest status of each vehicle by name; None for one that doesn't speak."""
        running = self._running()
        return {n: self._newest(n) if n in running else None for n in self._files}

    def wait(self, condition: Callable[[Statuses], bool], timeout: float) -> bool:
        """Wait until the statuses fulfil a condition; False after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not condition(self.vehicles):
            if time.monotonic() > deadline:
                return False
            time.sleep(_PERIOD_SECONDS)
        return True

    def _newest(self, name: str) -> VehicleStatus | None:
        try:
            stat = self._files[name].stat()
            if time.time() - stat.st_mtime > OLDEST_SECONDS:
                return None
            if name not in self._read or self._read[name][0] != stat.st_mtime_ns:
                text = self._files[name].read_text(encoding="utf-8")
                self._read[name] = stat.st_mtime_ns, status_from_json(json.loads(text))
        except OSError:  # it has not spoken yet
            return None
        return self._read[name][1]
