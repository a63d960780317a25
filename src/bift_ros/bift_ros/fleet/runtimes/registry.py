"""The runtimes by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bift_ros.fleet.runtimes.docker.engine import DockerRuntime
from bift_ros.fleet.runtimes.folder import FleetFolder
from bift_ros.fleet.runtimes.process_runtime import ProcessRuntime
from bift_ros.fleet.runtimes.runtime import FleetError, Runtime

RUNTIMES: Mapping[str, Callable[[FleetFolder], Runtime]] = {
    "process": ProcessRuntime,
    "docker": DockerRuntime,
}


def make_runtime(name: str, folder: FleetFolder) -> Runtime:
    """That of a fleet in its folder. Raises FleetError where there is none of that name."""
    if name not in RUNTIMES:
        raise FleetError(f"there is no runtime {name!r} here: choose one of {', '.join(RUNTIMES)}")
    return RUNTIMES[name](folder)
