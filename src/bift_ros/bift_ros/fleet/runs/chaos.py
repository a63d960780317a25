"""`./bift chaos`: the demo's fleet under faults, and whether everything held."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from bift_ros.fleet.runs import chaos_report
from bift_ros.fleet.runs.faults import Fault
from bift_ros.fleet.runs.kill import KillFault, schedule
from bift_ros.fleet.runs.measured_run import describe, run_to_report
from bift_ros.fleet.runs.partition import PartitionFault, draw_partition
from bift_ros.fleet.runtimes.folder import FleetFolder
from bift_ros.fleet.runtimes.network import NetworkError, fleet_network
from bift_ros.fleet.runtimes.process_runtime import ProcessRuntime
from bift_ros.fleet.runtimes.registry import make_runtime
from bift_ros.fleet.runtimes.runtime import FleetError, Runtime
from bift_ros.identity.vehicle_names import vehicle_name

SCENARIOS = ("kill", "partition")
UPDATE_WAIT_MS = 5000
"""Chaos' T_m: it is what a missing vehicle costs the others in every iteration."""


def run(
    scenarios: Sequence[str],
    runtime: str,
    bags: Sequence[Path],
    test_set: Path,
    settings: Mapping[str, Any],
    out: Path,
    console: Console,
) -> dict[str, Any]:
    """Run the scenarios one after the other and return the report, which is also written.

    `settings` are of the fleet's file: the seed, of the faults too, and the task. Raises BagError
    or ValueError where they cannot be used.
    """
    names = [vehicle_name(n) for n in range(len(bags))]
    seed, iterations = settings["seed"], settings["task"]["iterations"]

    def fault_of(scenario: str) -> Fault:
        if scenario == "kill":
            return KillFault(schedule(seed, names, iterations), console)
        return PartitionFault(draw_partition(seed, names, iterations), console)

    for scenario in scenarios:
        fault_of(scenario)  # a ValueError now, not after the others
    results = {}
    for scenario in scenarios:
        console.rule(f"Scenario {scenario}")
        folder = FleetFolder(out / scenario)
        policy = {"update_wait_ms": UPDATE_WAIT_MS}
        describe(folder, scenario, bags, {"runtime": runtime, **settings, "policy": policy})
        fault = fault_of(scenario)
        results[scenario] = _run(folder, runtime, fault, test_set, iterations, console)
    result = {"held": all(r["held"] for r in results.values()), "scenarios": results}
    (out / "report.json").write_text(json.dumps(result, indent=2) + "\n")
    (out / "report.md").write_text(chaos_report.markdown(result))
    return result


def _run(
    folder: FleetFolder,
    runtime: str,
    fault: Fault,
    test_set: Path,
    iterations: int,
    console: Console,
) -> dict[str, Any]:
    """Run one scenario; one that cannot run, or comes to no end, has that as its problem."""
    report: Mapping[str, Any] = {}
    try:
        with _runtime(folder, runtime, fault) as place:
            report = run_to_report(folder, place, test_set, console, fault)
    except (FleetError, NetworkError) as error:
        fault.problems.append(str(error))
    return chaos_report.scenario_report(
        report, [asdict(e) for e in fault.events], fault.problems, iterations
    )


@contextmanager
def _runtime(folder: FleetFolder, name: str, fault: Fault) -> Iterator[Runtime]:
    """What the scenario's vehicles run in. Raises NetworkError."""
    if name != "process":
        yield make_runtime(name, folder)
    elif isinstance(fault, PartitionFault):
        with fleet_network(fault.partition.majority, fault.partition.minority) as network:
            yield ProcessRuntime(folder, attached=True, network=network)
    else:
        yield ProcessRuntime(folder, attached=True)
