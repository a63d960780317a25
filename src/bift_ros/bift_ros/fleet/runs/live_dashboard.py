"""The dashboard of a running fleet: its page, fed by what the fleet says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.dashboard.server import Dashboard
from bift_ros.fleet.runs.scenario import set_environment
from bift_ros.fleet.runtimes.folder import FleetFolder
from bift_ros.fleet.runtimes.process_runtime import ProcessRuntime
from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.nodes.observer.fleet_listener import FleetListener


@contextmanager
def live_dashboard(data: Path | None, port: int = 0) -> Iterator[str]:
    """Serve the page of a fleet; yields its URL.

    `data` is the folder of a fleet or demo on this machine: for the vehicles' samples, and for the
    ROS domain that `bift fleet up` gave the fleet. Else it is the one of this process's domain.
    Raises DashboardError where the port cannot be had, FleetError where the folder is damaged.
    """
    with (
        closing(Dashboard(partial(dataset_in, data), port)) as dashboard,
        set_environment(ProcessRuntime(FleetFolder(data)).environment if data else {}),
        closing(FleetListener(on_change=dashboard.changed)) as listener,
    ):
        dashboard.start(listener.reading)
        yield dashboard.url


def dataset_in(data: Path | None, name: str) -> Path | None:
    """The dataset of the vehicle `name` below `data`; None where there is none.

    `data` holds the vehicles' folders, itself or as `bift fleet up` and `bift demo` lay them out.
    """
    # The name came over the network: one with a slash would lead out of the folder.
    if data is None or not is_vehicle_name(name):
        return None
    for folder in (data, FleetFolder(data).vehicles, data / "fleet"):
        dataset = VehicleFolders(folder / name).dataset
        if dataset.is_dir():
            return dataset
    return None
