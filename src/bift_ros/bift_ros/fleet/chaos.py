"""`./bift chaos`: the demo's fleet under faults, and whether everything held."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bift_ros.fleet import chaos_report
from bift_ros.fleet.bags import find_bags, synthetic_bags
from bift_ros.fleet.chaos_kill import KillScenario, schedule
from bift_ros.fleet.chaos_partition import PartitionScenario, draw_partition
from bift_ros.fleet.demo import Demo, DemoError, DemoOptions
from bift_ros.fleet.network import NetworkError
from bift_ros.fleet.plan import vehicle_name
from bift_ros.fleet.scenario import Scenario

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
    chosen = {name: _scenario(name, options, names, console) for name in options.scenarios}
    demo = DemoOptions(
        vehicles=options.vehicles,
        iterations=options.iterations,
        bags=bags,
        seed=options.seed,
        local_epochs=options.local_epochs,
    )
    results = {}
    for name, scenario in chosen.items():
        console.rule(f"Scenario {name}")
        results[name] = _run(scenario, replace(demo, out=options.out / name), console)
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


def _run(scenario: Scenario, options: DemoOptions, console: Console) -> dict[str, Any]:
    """Run one scenario; one that cannot run, or comes to no end, has that as its problem."""
    report: Mapping[str, Any] = {}
    try:
        report = Demo(options, console, scenario).run()
    except (DemoError, NetworkError) as error:
        scenario.problems.append(str(error))
        console.print(f"{error}", style="red", markup=False)
    return chaos_report.scenario_report(
        report, [asdict(e) for e in scenario.events], scenario.problems, options.iterations
    )
