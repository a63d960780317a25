"""The vehicle that a data folder belongs to: whose key it is, and what its owner has it do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
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

from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.genesis import Genesis, load_genesis
from bift_ros.console.errors import CommandError
from bift_ros.console.vehicles import asking
from bift_ros.identity.keyfile import KeyFileError, unlock_key
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes.client.vehicle_client import VehicleClient
from bift_ros.nodes.parameters import VEHICLE
from bift_ros.peer.owner_requests import OwnerRequest

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class OwnVehicle:
    """A vehicle of this machine, as its last start left its settings."""

    name: str
    key: KeyPair
    genesis: Genesis
    folders: VehicleFolders
    settings: dict[str, Any]
    """The parameters of its `vehicle` node."""


def own_vehicle(data: Path) -> OwnVehicle:
    """Read whose data folder it is; raises CommandError."""
    file = data / "parameters.yaml"
    try:
        name, settings = _settings(yaml.safe_load(file.read_text(encoding="utf-8")))
        key = unlock_key(settings["key_file"], settings["passphrase_file"])
        genesis = load_genesis(settings["genesis_file"])
    except FileNotFoundError as error:
        raise CommandError(
            f"{error.filename} is missing: --data takes the data folder of a vehicle that "
            "`bift node run`, `bift miner start` or `bift demo` has run"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, LookupError, TypeError, AttributeError) as error:
        raise CommandError(f"{file} is not what `bift node run` writes: {error!r:.200}") from error
    except (ChainError, KeyFileError, OSError) as error:
        raise CommandError(str(error)) from error
    return OwnVehicle(name, key, genesis, VehicleFolders(data), settings)


def _settings(document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The vehicle's name and its `vehicle` node's parameters in a ROS parameter file."""
    node = next(name for name in document if name.endswith("/vehicle"))
    defaults = {setting.name: setting.default for setting in VEHICLE}
    return node.strip("/").partition("/")[0], defaults | document[node]["ros__parameters"]


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
