"""`./bift chaos`: a fleet on this machine under faults."""

from __future__ import annotations

import argparse
import json

from rich.console import Console

from bift_ros.consensus.exceptions import ChainError
from bift_ros.console.arguments import positive
from bift_ros.console.errors import CommandError
from bift_ros.console.run_arguments import add_run_arguments, run_options
from bift_ros.fleet.runs import chaos, chaos_report
from bift_ros.fleet.runs.chaos import SCENARIOS, ChaosOptions
from bift_ros.identity.keyfile import KeyFileError
from bift_ros.perception.bags import BagError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    defaults = ChaosOptions()
    parser.epilog = (
        "kill: vehicles get SIGKILL at random moments and are restarted. partition: the network "
        "falls in two and is healed after two iterations; needs the right to make network "
        "namespaces (root, or `unshare --map-root-user --net ./bift chaos --scenario partition`)."
    )
    parser.add_argument(
        "--scenario", choices=(*SCENARIOS, "all"), default="all", help="default: %(default)s"
    )
    parser.add_argument(
        "--vehicles", type=positive, default=defaults.vehicles, help="how many (%(default)s)"
    )
    add_run_arguments(parser, defaults, "faults, bags and training")


def main(arguments: argparse.Namespace) -> int:
    """Run; 0 where everything held in every scenario."""
    options = ChaosOptions(
        scenarios=SCENARIOS if arguments.scenario == "all" else (arguments.scenario,),
        **run_options(arguments),
    )
    console = Console(stderr=arguments.json)
    try:
        result = chaos.run(options, console)
    except (ValueError, BagError, ChainError, KeyFileError, OSError) as error:
        raise CommandError(str(error)) from error
    console.print(chaos_report.table(result))
    for name, part in result["scenarios"].items():
        for problem in part["problems"]:
            console.print(f"{name}: {problem}", markup=False)
    console.print(f"Written: {options.out / 'report.json'}, {options.out / 'report.md'}")
    if arguments.json:
        print(json.dumps(result))
    return 0 if result["held"] else 1
