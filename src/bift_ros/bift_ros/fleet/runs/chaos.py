"""`./bift chaos`: the demo's fleet under faults, and whether everything held."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rich.console import Console

from bift_ros.fleet.runs import chaos_report
from bift_ros.fleet.runs.bags import find_bags, synthetic_bags
from bift_ros.fleet.runs.chaos_kill import KillScenario, schedule
from bift_ros.fleet.runs.chaos_partition import PartitionScenario, draw_partition
from bift_ros.fleet.runs.demo import Demo, DemoError, DemoOptions
from bift_ros.fleet.runs.scenario import Scenario
from bift_ros.fleet.runtimes.domain import NoDomainError
from bift_ros.fleet.runtimes.network import NetworkError
from bift_ros.fleet.runtimes.processes import end_with_parent
from bift_ros.identity.vehicle_names import vehicle_name

SCENARIOS = ("kill", "partition")


@dataclass(frozen=True)
class ChaosOptions:
    """What to run."""

    scenarios: tuple[str, ...] = SCENARIOS
    vehicles: int = 5
    iterations: int = 10
    bags: Path | None = None
    seed: int = 0
    """Of the faults, and of bags, models and training."""
    frames: int = 500
    local_epochs: int = 10
    out: Path = Path("out/chaos")


def run(options: ChaosOptions, console: Console) -> dict[str, Any]:
    """Run the scenarios one after the other and return the report, which is also written.

    Raises BagError or ValueError where the options cannot be used.
    """
    bags = options.bags or synthetic_bags(
        options.vehicles, options.frames, options.seed, options.out / "bags", console
    )
    find_bags(bags, options.vehicles)
    names = [vehicle_name(n) for n in range(options.vehicles)]
    for name in options.scenarios:
        _scenario(name, options, names, console)  # a ValueError now, not after the others
    results = {}
    for name in options.scenarios:
        console.rule(f"Scenario {name}")
        results[name] = _in_process(name, replace(options, bags=bags), console.stderr)
    result = {"held": all(r["held"] for r in results.values()), "scenarios": results}
    (options.out / "report.json").write_text(json.dumps(result, indent=2) + "\n")
    (options.out / "report.md").write_text(chaos_report.markdown(result))
    return result


def _scenario(
    name: str, options: ChaosOptions, vehicles: Sequence[str], console: Console
) -> Scenario:
    if name == "kill":
        return KillScenario(schedule(options.seed, vehicles, options.iterations), console)
    return PartitionScenario(draw_partition(options.seed, vehicles, options.iterations), console)


def _in_process(name: str, options: ChaosOptions, stderr: bool) -> dict[str, Any]:
    """Run a scenario in a process of its own: Fast DDS knows but one network in its life."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(name, options, stderr, sending))
    process.start()
    sending.close()
    try:
        result: dict[str, Any] = receiving.recv()
        return result
    except EOFError:
        process.join()
        problem = f"the scenario's process ended with status {process.exitcode}"
        return chaos_report.scenario_report({}, [], [problem], options.iterations)
    except BaseException:
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, signal.SIGINT)
        raise
    finally:
        process.join()


def _work(name: str, options: ChaosOptions, stderr: bool, sending: Connection) -> None:
    """A scenario's process."""
    # A group of its own: Ctrl-C comes from the parent, once.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    end_with_parent()
    console = Console(stderr=stderr)
    names = [vehicle_name(n) for n in range(options.vehicles)]
    try:
        sending.send(_run(name, _scenario(name, options, names, console), options, console))
    except KeyboardInterrupt:
        sys.exit(130)


def _run(name: str, scenario: Scenario, options: ChaosOptions, console: Console) -> dict[str, Any]:
    """Run one scenario; one that cannot run, or comes to no end, has that as its problem."""
    demo = DemoOptions(
        vehicles=options.vehicles,
        iterations=options.iterations,
        bags=options.bags,
        seed=options.seed,
        local_epochs=options.local_epochs,
        out=options.out / name,
    )
    report: Mapping[str, Any] = {}
    try:
        report = Demo(demo, console, scenario).run()
    except (DemoError, NetworkError, NoDomainError) as error:
        scenario.problems.append(str(error))
    return chaos_report.scenario_report(
        report, [asdict(e) for e in scenario.events], scenario.problems, options.iterations
    )
