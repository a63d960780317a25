"""`./bift chaos`: a fleet on this machine under faults."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from bift_ros.console.arguments import Parser, positive
from bift_ros.console.errors import reporting
from bift_ros.console.run_arguments import (
    FLEET_ERRORS,
    VEHICLES,
    add_run_arguments,
    bags_of_run,
    settings_of_run,
)
from bift_ros.fleet.runs import chaos, chaos_report
from bift_ros.fleet.runs.chaos import SCENARIOS
from bift_ros.fleet.runs.signals import signals_as_interrupt
from bift_ros.fleet.runtimes.registry import RUNTIMES


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.epilog = (
        "kill: vehicles get SIGKILL at random moments and are restarted. partition: the network "
        "falls in two and is healed after two iterations; for processes it needs the right to make "
        "network namespaces (root, or `unshare --map-root-user --net ./bift chaos --scenario "
        "partition`)."
    )
    parser.add_argument(
        "--scenario", choices=(*SCENARIOS, "all"), default="all", help="default: %(default)s"
    )
    parser.add_argument(
        "--vehicles", type=positive, default=VEHICLES, help="how many (%(default)s)"
    )
    parser.add_argument(
        "--runtime", choices=RUNTIMES, default="process", help="of the vehicles (%(default)s)"
    )
    add_run_arguments(parser, Path("out/chaos"), "faults, bags and training")


@reporting(ValueError, *FLEET_ERRORS)
def main(arguments: argparse.Namespace) -> int:
    """Run; 0 where everything held in every scenario."""
    scenarios = SCENARIOS if arguments.scenario == "all" else (arguments.scenario,)
    console = Console(stderr=arguments.json)
    with signals_as_interrupt():
        result = chaos.run(
            scenarios,
            arguments.runtime,
            *bags_of_run(arguments, console),
            settings_of_run(arguments),
            arguments.out,
            console,
        )
    console.print(chaos_report.table(result))
    for name, part in result["scenarios"].items():
        for problem in part["problems"]:
            console.print(f"{name}: {problem}", markup=False)
    console.print(f"Written: {arguments.out / 'report.json'}, {arguments.out / 'report.md'}")
    if arguments.json:
        print(json.dumps(result))
    return 0 if result["held"] else 1
