"""Finds fleets and brings them up, anew or with what they have kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bift_ros.consensus.genesis import load_genesis
from bift_ros.fleet.description.file import load_description, name_of
from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.description.located_yaml import read_yaml
from bift_ros.fleet.runs.bags import bags_of
from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runs.signals import ignoring_signals
from bift_ros.fleet.runtimes.folder import FleetFolder, FleetRecord, read_record, write_record
from bift_ros.fleet.runtimes.registry import make_runtime
from bift_ros.fleet.runtimes.runtime import FleetError, Runtime
from bift_ros.identity.private_files import private_files


@dataclass(frozen=True)
class Overrides:
    """What a command says instead of the description."""

    runtime: str | None = None
    vehicles: int | None = None
    iterations: int | None = None


def find(fleet: str, root: Path) -> FleetFolder:
    """The folder, below `root`, of a fleet that is named, or whose description this file is.

    Raises YamlSyntaxError, DescriptionError or FleetError.
    """
    if _is_file(fleet):
        return FleetFolder(root / name_of(read_yaml(Path(fleet))))
    if Path(fleet).name != fleet:
        raise FleetError(f"{fleet} is neither the name of a fleet nor a .yaml file")
    return FleetFolder(root / fleet)


@private_files()
def bring_up(
    fleet: str, root: Path, overrides: Overrides, console: Console, bags: Path | None = None
) -> Fleet:
    """Start all vehicles of a fleet; one that has gone down and kept its data is resumed.

    A name brings up what was up last. Returns once all run, though they may not have spoken yet;
    where it raises, none does. `bags`: where synthetic bags lie, or are made, other than in the
    fleet's folder. Raises YamlSyntaxError, DescriptionError, FleetError or an error of
    the chain, the bags or the file system.
    """
    folder = find(fleet, root)
    file = Path(fleet)
    if not _is_file(fleet):
        last = read_record(folder)
        file = Path(last.file)
        overrides = Overrides(
            overrides.runtime or last.runtime,
            overrides.vehicles or last.count,
            overrides.iterations or last.iterations,
        )
    description = load_description(file, overrides.vehicles, overrides.iterations)
    record = record_of(description, file, overrides)
    runtime = make_runtime(record.runtime, folder)
    runtime.check(description)
    if folder.record.exists():
        _check_kept(Fleet(folder), record, description)
    elif folder.root.exists() and any(folder.root.iterdir()):
        raise FleetError(
            f"{folder.root} holds other things, and `bift fleet down` would remove them: give the "
            "fleet another name, or another --fleets DIR"
        )
    write_record(folder, record)
    return start(folder, runtime, description, bags or folder.bags, console)


def record_of(description: FleetDescription, file: Path, overrides: Overrides) -> FleetRecord:
    """What to remember of a fleet."""
    return FleetRecord(
        name=description.name,
        runtime=overrides.runtime or description.runtime,
        file=str(file.resolve()),
        vehicles=tuple(v.name for v in description.vehicles),
        count=overrides.vehicles,
        iterations=overrides.iterations,
    )


def start(
    folder: FleetFolder,
    runtime: Runtime,
    description: FleetDescription,
    bags: Path,
    console: Console,
) -> Fleet:
    """Start the vehicles of a fleet whose record is written; where it raises, none runs.

    `bags` is where synthetic bags lie, or are made.
    """
    replayed = bags_of(description, bags, console)
    folder.report.unlink(missing_ok=True)  # of what the chain was before
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Starting vehicles", total=len(replayed))
        try:
            runtime.up(description, replayed, lambda _: bar.advance(task))
        except BaseException:
            with ignoring_signals():
                runtime.down(keep_data=True)
            raise
    return Fleet(folder, runtime)


def _check_kept(kept: Fleet, record: FleetRecord, description: FleetDescription) -> None:
    """Refuse to bring up a fleet twice, or another one on what this one has kept."""
    name = kept.record.name
    if kept.runs:
        raise FleetError(f"the fleet {name} is up: {kept.command('down')} ends it")
    if not kept.folder.genesis.exists():
        return
    genesis = load_genesis(kept.folder.genesis)
    differs = [
        what
        for what, before, now in (
            ("another runtime", kept.record.runtime, record.runtime),
            ("other vehicles", tuple(m.name for m in genesis.members), record.vehicles),
            ("another policy", genesis.policy, description.policy),
        )
        if before != now
    ]
    if differs:
        raise FleetError(
            f"{kept.folder.root} keeps the chain of a fleet {name} with {' and '.join(differs)}: "
            f"ask for the same again, or remove it with {kept.command('down')}"
        )


def _is_file(fleet: str) -> bool:
    return Path(fleet).suffix in (".yaml", ".yml")
