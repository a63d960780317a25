"""What is on disk of a fleet: where its parts lie, whichever command runs it, and what it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.identity.private_files import make_private_folder

FLEETS = Path("out/fleets")
"""Where `bift fleet` keeps fleets, a folder for each, unless a person says otherwise."""


@dataclass(frozen=True)
class FleetFolder:
    """The layout of a fleet's folder."""

    root: Path

    @property
    def record(self) -> Path:
        """What the fleet is."""
        return self.root / "fleet.json"

    @property
    def description(self) -> Path:
        """Its description, where a command wrote one; a person's own lies where it likes."""
        return self.root / "fleet.yaml"

    @property
    def processes(self) -> Path:
        """Which processes it runs as, and how their ROS nodes are found."""
        return self.root / "processes.json"

    @property
    def vehicles(self) -> Path:
        """The genesis, and for each vehicle a folder: what `plan.prepare` writes."""
        return self.root / "vehicles"

    @property
    def genesis(self) -> Path:
        """The genesis file."""
        return self.vehicles / "genesis.json"

    @property
    def bags(self) -> Path:
        """The synthetic bags."""
        return self.root / "bags"

    @property
    def security(self) -> Path:
        """The keystore of DDS security, where the fleet has it."""
        return self.root / "security"

    @property
    def report(self) -> Path:
        """What a run that was measured came to."""
        return self.root / "report.json"

    def vehicle(self, name: str) -> Path:
        """A vehicle's settings, key and log, and where it is a process, what it keeps, too."""
        return self.vehicles / name


def key_file(folder: Path) -> Path:
    """Where the key of the vehicle in `folder` lies."""
    return folder / "key.pem"


def status_file(folder: Path) -> Path:
    """Where the vehicle in `folder`, a process, writes its status."""
    return folder / "status.json"


def vehicle_log(folder: Path) -> Path:
    """The log file of the vehicle in `folder`."""
    return folder / "vehicle.log"


@dataclass(frozen=True)
class FleetRecord:
    """A fleet as it was brought up last."""

    name: str
    runtime: str
    file: str
    """Its description, an absolute path."""
    vehicles: tuple[str, ...]
    """Their names."""
    count: int | None = None
    """The number of vehicles that was asked for instead of the file's."""
    iterations: int | None = None
    """The number of iterations likewise."""


def write_record(folder: FleetFolder, record: FleetRecord) -> None:
    """Write it, whole or not at all."""
    make_private_folder(folder.root)
    write_whole(folder.record, json.dumps(asdict(record), indent=2) + "\n")


def read_record(folder: FleetFolder) -> FleetRecord:
    """What lies there. Raises FleetError where nothing does, or no record."""
    try:
        document = json.loads(folder.record.read_text(encoding="utf-8"))
        return FleetRecord(**{**document, "vehicles": tuple(document["vehicles"])})
    except FileNotFoundError:
        raise FleetError(
            f"there is no fleet in {folder.root}: bring one up with `bift fleet up FILE`"
        ) from None
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise FleetError(f"{folder.record} is no record of a fleet: {error!r:.200}") from error


def write_whole(file: Path, text: str) -> None:
    """Write a file so that a reader finds the old text or the new one."""
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)
