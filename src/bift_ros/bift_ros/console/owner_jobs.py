"""What a vehicle's owner has it do with files, and how far that is."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from bift_ros.console.errors import CommandError
from bift_ros.console.own_vehicle import OwnVehicle
from bift_ros.console.vehicles import asking
from bift_ros.nodes.client.vehicle_client import VehicleClient
from bift_ros.peer.owner_requests import OwnerRequest

_POLL_SECONDS = 0.2


def ask_vehicle(
    vehicle: OwnVehicle, request: OwnerRequest, seconds: float, title: str, quiet: bool = False
) -> str:
    """Have the running vehicle do it, and wait until it has; the file's CID.

    A terminal shows how many bytes are here, unless it is to be `quiet`.
    """
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}")]
    if request.action == "fetch":
        columns += [BarColumn(), DownloadColumn(), TransferSpeedColumn()]
    columns.append(TimeElapsedColumn())
    console = Console(stderr=True)
    quiet = quiet or not console.is_terminal
    with (
        asking(),
        VehicleClient(vehicle.name, seconds) as client,
        Progress(*columns, console=console, transient=True, disable=quiet) as bar,
    ):
        task = bar.add_task(title, total=None)
        while True:
            job = client.owner_job(vehicle.key, vehicle.genesis.hash, request)
            bar.update(task, completed=job.here, total=job.size or None)
            if job.done:
                break
            time.sleep(_POLL_SECONDS)
    if job.error:
        raise CommandError(f"{vehicle.name}: {job.error}")
    return job.cid
