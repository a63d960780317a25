"""`./bift simulate`: fleets of real peers in virtual time, their invariants checked."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.output import show, table
from bift_ros.simulation.campaign import run_seeds, summary
from bift_ros.simulation.compilation import CompilationError, compile_package, compiled_package
from bift_ros.simulation.history import History
from bift_ros.simulation.results import Result
from bift_ros.simulation.run import simulate
from bift_ros.simulation.scenario import FAULTS, Scenario, ScenarioError
from bift_ros.simulation.shrink import shrink

_SHOWN = 10
_WORTH_COMPILING = 1_500
"""Vehicles times seeds from which a minute's compilation is soon made up for."""


def add_arguments(parser: Parser) -> None:
    """The options."""
    defaults = Scenario()
    parser.add_argument(
        "--vehicles", type=int, default=defaults.vehicles, help="fleet size (%(default)s)"
    )
    parser.add_argument(
        "--byzantine", type=int, help="how many of them are (default: 30 of 100 vehicles)"
    )
    parser.add_argument(
        "--iterations", type=int, default=defaults.iterations, help="of the task (%(default)s)"
    )
    parser.add_argument("--seeds", type=int, default=10, help="how many runs (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument(
        "--faults", type=_list, default=FAULTS, help=f"of {','.join(FAULTS)} (default: all)"
    )
    parser.add_argument(
        "--behaviours", type=_list, default=(), help="Byzantine ones to draw from (default: all)"
    )
    parser.add_argument(
        "--without", type=_list, default=(), help="single faults to leave out, such as crash2"
    )
    parser.add_argument(
        "--minimum",
        type=int,
        default=defaults.minimum,
        help="updates that make a model (default: as many as two branches can't both have)",
    )
    parser.add_argument("--mode", default=defaults.mode, help="bift or paper (%(default)s)")
    parser.add_argument("--processes", type=int, help="default: one for each core")
    parser.add_argument("--replay", type=int, metavar="SEED", help="print this run's history")
    parser.add_argument(
        "--shrink", type=int, metavar="SEED", help="reduce a failing run to the least that fails"
    )
    parser.add_argument(
        "--scaling", type=_sizes, metavar="N,N,…", help="one run for each of these fleet sizes"
    )
    parser.add_json("print the figures as JSON")


def main(arguments: argparse.Namespace) -> int:
    """Run; 0 where every run completed and nothing broke."""
    if arguments.seeds < 1:
        raise CommandError(f"--seeds {arguments.seeds}: use at least 1")
    processes = arguments.processes or len(os.sched_getaffinity(0))
    if processes < 1:
        raise CommandError(f"--processes {processes}: use at least 1")
    console = Console(stderr=arguments.json)
    with reporting(ScenarioError):
        if arguments.replay is not None:
            return _replay(_scenario(arguments, arguments.vehicles), arguments.replay)
        if arguments.shrink is not None:
            return _shrink(_scenario(arguments, arguments.vehicles), arguments.shrink)
        if arguments.scaling:
            scenarios = [_scenario(arguments, size) for size in arguments.scaling]
            return _scaling(scenarios, arguments, console)
        scenario = _scenario(arguments, arguments.vehicles)
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        report = _run(scenario, seeds, processes, console)
    show(arguments.json, report, *_shown(report))
    return 0 if _sound(report) else 1


def _scenario(arguments: argparse.Namespace, vehicles: int) -> Scenario:
    byzantine = arguments.byzantine
    if arguments.scaling and byzantine is not None:
        raise CommandError("--byzantine with --scaling: leave it out, each fleet has 30 %")
    if byzantine is None:
        byzantine = vehicles * 3 // 10
    return Scenario(
        vehicles,
        byzantine,
        arguments.iterations,
        arguments.faults,
        arguments.behaviours,
        arguments.mode,
        minimum=arguments.minimum,
        without=arguments.without,
    )


def _run(
    scenario: Scenario, seeds: Sequence[int], processes: int, console: Console
) -> dict[str, Any]:
    results: list[Result] = []
    package = _compiled(scenario.vehicles * len(seeds), console)
    begun = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    left = TimeRemainingColumn()
    with Progress(*columns, left, console=console, refresh_per_second=2) as progress:
        task = progress.add_task("runs", total=len(seeds))
        for result in run_seeds(scenario, seeds, processes, package):
            results.append(result)
            broken = sum(bool(r.violations) for r in results)
            progress.update(task, advance=1, description=f"runs ({broken} broken)")
    return summary(scenario, results, time.perf_counter() - begun)


def _compiled(size: int, console: Console) -> Path | None:
    """The compiled consensus, made first where the runs are worth it."""
    if size < _WORTH_COMPILING:
        return compiled_package()
    try:
        with console.status("compiling the consensus: about a minute, once for each version"):
            return compile_package()
    except CompilationError as error:
        console.print(f"the consensus stays interpreted, at half the speed: {error}")
        return None


def _replay(scenario: Scenario, seed: int) -> int:
    result = simulate(scenario, seed, History(print))
    print(f"seed {seed}: fingerprint {result.fingerprint}, block {result.blocks}")
    for violation in result.violations:
        where = f"vehicle {violation.vehicle} at {violation.time_ms / 1000:.3f} s"
        print(f"{violation.invariant} broke: {where}: {violation.detail}")
    return 0 if result.completed and not result.violations else 1


def _shrink(scenario: Scenario, seed: int) -> int:
    def run(smaller: Scenario) -> Result:
        return simulate(smaller, seed)

    found = shrink(scenario, run, lambda smaller: print(f"fails too: {smaller.command(seed)}"))
    result = simulate(found, seed)
    for violation in result.violations:
        print(f"{violation.invariant} broke: {violation.detail}")
    print(found.command(seed))
    return 1 if result.violations else 0


def _scaling(scenarios: Sequence[Scenario], arguments: argparse.Namespace, console: Console) -> int:
    reports = [_run(s, [arguments.first_seed], 1, console) for s in scenarios]
    headings = ("vehicles", "messages", "bytes", "signatures", "blocks", "PoFL", "seconds")
    rows = (
        (r["vehicles"], *(f"{v:,.0f}" for v in r["per_vehicle"].values()), f"{r['seconds']:.1f}")
        for r in reports
    )
    show(arguments.json, reports, table("per vehicle", headings, rows))
    return 0 if all(_sound(report) for report in reports) else 1


def _sound(report: dict[str, Any]) -> bool:
    return not report["violations"] and bool(report["completed"] == report["seeds"])


def _shown(report: dict[str, Any]) -> Iterator[str | Table]:
    facts = Table("", "", show_header=False)
    facts.add_row("fleet", f"{report['vehicles']} vehicles, {report['byzantine']} Byzantine")
    facts.add_row("faults", ", ".join(report["faults"]) or "none")
    facts.add_row("runs completed", f"{report['completed']} of {report['seeds']}")
    facts.add_row("invariants broken", str(report["violations"]))
    facts.add_row("seconds", f"{report['seconds']:.1f}")
    for name, value in report["per_vehicle"].items():
        facts.add_row(f"{name.replace('_', ' ')} per vehicle", f"{value:,.0f}")
    yield facts
    for broken in report["broken"][:_SHOWN]:
        yield (
            f"seed {broken['seed']}, vehicle {broken['vehicle']}, "
            f"{broken['time_ms'] / 1000:.3f} s: {broken['invariant']}: {broken['detail']}"
        )
    if report["failing_seeds"]:
        seed = report["failing_seeds"][0]
        yield f"see one with --replay {seed} and the same options, reduce it with --shrink {seed}"


def _list(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip() not in ("", "none"))


def _sizes(text: str) -> list[int]:
    try:
        return [int(item) for item in _list(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of fleet sizes") from error
