"""Where a finished run lies: a demo's folder, a fleet's, or any with a genesis and vehicles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runtimes.folder import FleetFolder


class ReportError(Exception):
    """There is no run to report on; says why and what to do."""


@dataclass(frozen=True)
class RunPlace:
    """The parts of a run on disk."""

    root: Path
    settings: Path
    """The genesis, and a folder for each vehicle with its key, parameters and log."""
    vehicles: tuple[str, ...]
    """Their names."""
    measured: Mapping[str, Any] = field(default_factory=dict)
    """The content of `report.json`, which a demo writes at its end; empty where there is none."""
    fleet: Fleet | None = None
    """The fleet whose folder it is; None: the data lie beside the settings."""

    def data_of(self, vehicle: str) -> AbstractContextManager[Path]:
        """A vehicle's data folder, to be read only. Raises FleetError where a fleet's runs."""
        if self.fleet is None:
            return nullcontext(self.settings / vehicle)
        return self.fleet.data_of(vehicle)


def find_run(root: Path) -> RunPlace:
    """Look for a run in a folder. Raises ReportError where there is none, and FleetError."""
    folder = FleetFolder(root)
    if folder.record.exists():
        fleet = Fleet(folder)
        names = fleet.record.vehicles
        return RunPlace(root, folder.vehicles, names, _measured(folder.report), fleet)
    for settings in (folder.vehicles, root):
        if (settings / "genesis.json").exists():
            data = (path for path in settings.iterdir() if VehicleFolders(path).chain.exists())
            names = tuple(sorted(path.name for path in data))
            return RunPlace(root, settings, names, _measured(folder.report))
    raise ReportError(
        f"{root} holds no run: name the folder of a `bift demo` (out/demo), of a fleet "
        "(out/fleets/NAME, kept by `bift fleet down NAME --keep-data`), or one with a genesis.json "
        "and the vehicles' data folders"
    )


def _measured(file: Path) -> Mapping[str, Any]:
    if not file.exists():
        return {}
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{file} can't be read ({error}): move it away to go without") from error
    # `bift chaos` writes another report beside those of its scenarios, which have folders.
    if not isinstance(document, dict) or "global_cids" not in document:
        raise ReportError(f"{file} is not what `bift demo` writes: move it away to go without")
    return document
