"""What is on disk of a fleet that was brought up: where its parts lie, and what it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bift_ros.fleet.runtimes.runtime import FleetError

FLEETS = Path("out/fleets")
"""Where fleets lie, a folder for each, unless a person says otherwise."""


@dataclass(frozen=True)
class FleetFolder:
    """The layout of a fleet's folder."""

    root: Path

    @property
    def record(self) -> Path:
        """What the fleet is."""
        return self.root / "fleet.json"

    @property
    def vehicles(self) -> Path:
        """Genesis, keys, parameters and what each vehicle keeps: what `plan.prepare` writes."""
        return self.root / "vehicles"

    @property
    def bags(self) -> Path:
        """The synthetic bags."""
        return self.root / "bags"


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
    folder.root.mkdir(parents=True, exist_ok=True)
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
