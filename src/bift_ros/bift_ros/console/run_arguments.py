"""What commands that run fleets share: their errors, and the options of demo and chaos."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from bift_ros.consensus.exceptions import ChainError
from bift_ros.console.arguments import Parser, positive, seed
from bift_ros.fleet.description.file import DescriptionError
from bift_ros.fleet.description.located_yaml import YamlSyntaxError
from bift_ros.fleet.runs.bags import find_bags, synthetic_bags
from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.identity.keyfile import KeyFileError
from bift_ros.perception.bags import BagError
from bift_ros.storage.interface import StorageError

FLEET_ERRORS = (
    FleetError, DescriptionError, YamlSyntaxError, BagError, ChainError, KeyFileError,
    StorageError, OSError,
)  # fmt: skip
"""What bringing a fleet up and following it may raise for a person to mend."""
VEHICLES = 5


def add_run_arguments(parser: Parser, out: Path, seeded: str) -> None:
    """All that such commands have in common but `--vehicles`; `seeded`: what the seed is of."""
    parser.add_argument("--iterations", type=positive, default=10, help="default: %(default)s")
    parser.add_argument(
        "--bags", type=Path, help="folder of `bift bag synth|from-images` (default: made anew)"
    )
    parser.add_argument("--seed", type=seed, default=0, help=f"of {seeded}")
    parser.add_argument("--frames", type=positive, default=500, help="per vehicle (%(default)s)")
    parser.add_argument("--local-epochs", type=positive, default=10, help="E (%(default)s)")
    parser.add_argument("--out", type=Path, default=out, help="default: %(default)s")
    parser.add_json("print report.json at the end")


def bags_of_run(arguments: argparse.Namespace, console: Console) -> tuple[tuple[Path, ...], Path]:
    """Each vehicle's bag and the test set, made where there are none. Raises BagError."""
    bags: Path | None = arguments.bags
    if bags is None:
        count, drawn = arguments.vehicles or VEHICLES, arguments.out / "bags"
        bags = synthetic_bags(count, arguments.frames, arguments.seed, drawn, console)
    return find_bags(bags, arguments.vehicles)


def settings_of_run(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the options say, as the file of a fleet has it."""
    return {
        "seed": arguments.seed,
        "task": {"iterations": arguments.iterations, "local_epochs": arguments.local_epochs},
    }
