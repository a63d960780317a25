"""The dashboard of a running fleet: its page, fed by what the fleet says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.dashboard.server import Dashboard
from bift_ros.fleet.runtimes.folder import FleetFolder
from bift_ros.fleet.runtimes.process_runtime import ProcessRuntime
from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.nodes.observer.fleet_listener import FleetListener


@contextmanager
def live_dashboard(data: Path | None, port: int = 0) -> Iterator[str]:
    """Serve the page of a fleet; yields its URL.

    `data` is the folder of a fleet or demo on this machine: for the vehicles' samples, and for the
    ROS domain that the fleet was given. Else it is the one of this process's domain.
    Raises DashboardError where the port cannot be had, FleetError where the folder is damaged.
    """
    with (
        closing(Dashboard(partial(dataset_in, data), port)) as dashboard,
        _environment(ProcessRuntime(FleetFolder(data)).environment if data else {}),
        closing(FleetListener(on_change=dashboard.changed)) as listener,
    ):
        dashboard.start(listener.reading)
        yield dashboard.url


def dataset_in(data: Path | None, name: str) -> Path | None:
    """The dataset of the vehicle `name` below `data`; None where there is none.

    `data` is a fleet's folder, or holds the vehicles' folders itself.
    """
    # The name came over the network: one with a slash would lead out of the folder.
    if data is None or not is_vehicle_name(name):
        return None
    for folder in (FleetFolder(data).vehicle(name), data / name):
        dataset = VehicleFolders(folder).dataset
        if dataset.is_dir():
            return dataset
    return None


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables of this process, and set them back."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
