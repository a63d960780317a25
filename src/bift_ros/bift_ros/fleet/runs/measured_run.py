"""A run that is evaluated and reported on: the fleet of `bift demo` and `bift chaos`."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from bift_ros.consensus.genesis import load_genesis
from bift_ros.dashboard.server import DashboardError
from bift_ros.fleet.description.file import load_description
from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.runs import display, report
from bift_ros.fleet.runs.bring_up import Overrides, record_of, start
from bift_ros.fleet.runs.evaluation import Evaluator
from bift_ros.fleet.runs.faults import Fault
from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runs.live_dashboard import live_dashboard
from bift_ros.fleet.runs.run import Run
from bift_ros.fleet.runs.signals import ignoring_signals
from bift_ros.fleet.runs.watching import live_view
from bift_ros.fleet.runtimes.folder import FleetFolder, write_record, write_whole
from bift_ros.fleet.runtimes.runtime import FleetError, Runtime
from bift_ros.identity.private_files import make_private_folder, private_files
from bift_ros.monitoring.status import Statuses
from bift_ros.perception.bag_info import bag_info

_EVALUATION_SECONDS = 120.0
_REPLAY_SECONDS = 12.0


@private_files()
def describe(
    folder: FleetFolder, name: str, bags: Sequence[Path], settings: Mapping[str, Any]
) -> None:
    """Write the description of a fleet that replays these bags, in a few seconds each.

    `settings` are more of the file's keys. Raises BagError.
    """
    rate = max(1.0, bag_info(bags[0]).duration_s / _REPLAY_SECONDS)
    document = {
        "name": name,
        "vehicles": len(bags),
        "replay_rate": rate,
        **settings,
        "defaults": {"bag": [str(bag.resolve()) for bag in bags], **settings.get("defaults", {})},
    }
    make_private_folder(folder.root)
    write_whole(folder.description, yaml.safe_dump(document, sort_keys=False))


@private_files()
def run_to_report(
    folder: FleetFolder,
    runtime: Runtime,
    test_set: Path,
    console: Console,
    fault: Fault | None = None,
    dashboard: bool = False,
) -> dict[str, Any]:
    """Run the fleet of the folder's description anew, to its task's end; the report, written, too.

    `dashboard`: whether a page shows the fleet meanwhile. Raises FleetError, DescriptionError or an
    error of the chain, the bags or the file system.
    """
    began = time.monotonic()
    description = load_description(folder.description)
    runtime.check(description)
    clear_earlier_run(folder)
    write_record(folder, record_of(description, folder.description, Overrides()))
    fleet = start(folder, runtime, description, folder.bags, console)
    try:
        device = description.vehicles[0].device
        with closing(
            Evaluator(fleet.model, test_set, description.task.architecture, device)
        ) as evaluator:
            run = Run(fleet, fault or Fault(), evaluator)
            with (
                _page(folder, console, dashboard),
                fleet.listening() as monitor,
                live_view(console, _picture(description, run, evaluator)) as show,
            ):
                run.follow(monitor, show)
            runtime.down(keep_data=True)
            evaluator.wait(_EVALUATION_SECONDS)
        return _report(fleet, description, run, evaluator, time.monotonic() - began, console)
    finally:
        with ignoring_signals():
            runtime.down(keep_data=True)  # for the logs, where the run has failed
            runtime.down(keep_data=False)  # the folder stays


def clear_earlier_run(folder: FleetFolder) -> None:
    """Remove what an earlier run has left in a folder, but for its bags. Raises FleetError."""
    if folder.record.exists():
        earlier = Fleet(folder)
        if earlier.runs:
            raise FleetError(f"the fleet in {folder.root} still runs: end it first")
        earlier.runtime.down(keep_data=False)
    elif folder.vehicles.exists():
        raise FleetError(
            f"{folder.vehicles} is of no run, and would be removed: take another folder"
        )
    shutil.rmtree(folder.vehicles, ignore_errors=True)
    folder.processes.unlink(missing_ok=True)


@contextmanager
def _page(folder: FleetFolder, console: Console, wanted: bool) -> Iterator[None]:
    """The page, for as long as the fleet runs; the run goes on where there can be none."""
    with ExitStack() as stack:
        if wanted:
            try:
                url = stack.enter_context(live_dashboard(folder.root))
                console.print(f"The fleet's page: {url}")
            except DashboardError as error:
                console.print(f"no dashboard: {error}")
        yield


def _picture(
    description: FleetDescription, run: Run, evaluator: Evaluator
) -> Callable[[Statuses], Any]:
    policy = description.policy
    headline = (
        f"{len(description.vehicles)} vehicles, consensus mode {policy.mode}, "
        f"rule {policy.rule}, storage {description.vehicles[0].storage}; Ctrl-C stops them all"
    )
    return lambda vehicles: display.progress(
        headline, vehicles, run.slowest, dict(evaluator.accuracy)
    )


def _report(
    fleet: Fleet,
    description: FleetDescription,
    run: Run,
    evaluator: Evaluator,
    seconds: float,
    console: Console,
) -> dict[str, Any]:
    folder = fleet.folder
    result = report.build(
        {name: fleet.outcome(name) for name in fleet.record.vehicles},
        load_genesis(folder.genesis),
        run.statuses,
        run.iterations,
        evaluator.accuracy,
        {v.name: v.malicious for v in description.vehicles if v.malicious is not None},
        seconds,
    )
    folder.report.write_text(json.dumps(result, indent=2) + "\n")
    report.plot_accuracy(result, folder.root / "accuracy.png")
    console.print(display.iteration_table(run.slowest, evaluator.accuracy))
    console.print(report.final_table(result))
    for number, error in evaluator.errors.items():
        console.print(f"iteration {number} was not measured: {error}")
    console.print(f"Written: {folder.report}, {folder.root / 'accuracy.png'}")
    return result
