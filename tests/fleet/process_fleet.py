"""A fleet of processes, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.runtimes.folder import FleetFolder
from bift_ros.fleet.runtimes.process_runtime import ProcessRuntime


@contextmanager
def running(folder: Path, fleet: FleetDescription) -> Iterator[ProcessRuntime]:
    """Bring a fleet up, anew or with what it has kept, and take it down."""
    runtime = ProcessRuntime(FleetFolder(folder), attached=True)
    try:
        runtime.up(fleet, [vehicle.bag for vehicle in fleet.vehicles], lambda _: None)
        yield runtime
    finally:
        runtime.down(keep_data=True)
