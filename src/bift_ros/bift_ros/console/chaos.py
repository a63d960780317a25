"""`./bift chaos`: a fleet on this machine under faults."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from bift_ros.chain.exceptions import ChainError
from bift_ros.console.arguments import positive, seed
from bift_ros.console.errors import CommandError
from bift_ros.fleet import chaos, chaos_report
from bift_ros.fleet.chaos import SCENARIOS, ChaosOptions
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
    parser.add_argument("--vehicles", type=positive, default=defaults.vehicles, help="(5)")
    parser.add_argument("--iterations", type=positive, default=defaults.iterations, help="(10)")
    parser.add_argument(
        "--bags", type=Path, help="folder of `bift bag synth|from-images` (default: made anew)"
    )
    parser.add_argument("--seed", type=seed, default=0, help="of faults, bags and training")
    parser.add_argument(
        "--frames", type=positive, default=defaults.frames, help="per vehicle (%(default)s)"
    )
    parser.add_argument(
        "--local-epochs", type=positive, default=defaults.local_epochs, help="E (%(default)s)"
    )
    parser.add_argument("--out", type=Path, default=defaults.out, help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print report.json at the end")


def main(arguments: argparse.Namespace) -> int:
    """Run; 0 where everything held in every scenario."""
    options = ChaosOptions(
        scenarios=SCENARIOS if arguments.scenario == "all" else (arguments.scenario,),
        vehicles=arguments.vehicles,
        iterations=arguments.iterations,
        bags=arguments.bags,
        seed=arguments.seed,
        frames=arguments.frames,
        local_epochs=arguments.local_epochs,
        out=arguments.out,
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
