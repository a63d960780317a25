"""``./bift bench fleet``: whole fleets from `up` to their task's end, by size and under faults."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bift_ros.console.arguments import Parser, positive
from bift_ros.console.errors import CommandError
from bift_ros.console.output import figures, print_lines
from bift_ros.console.run_arguments import FLEET_ERRORS
from bift_ros.fleet.description.file import load_description
from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.runs.bring_up import Overrides
from bift_ros.fleet.runs.faults import Fault, draw_victims
from bift_ros.fleet.runs.kill import Kill, KillFault
from bift_ros.fleet.runs.partition import Partition, PartitionFault
from bift_ros.fleet.runs.signals import signals_as_interrupt
from bift_ros.fleet.runs.trial import TrialResult, run_trial
from bift_ros.fleet.runtimes.registry import RUNTIMES
from bift_ros.fleet.runtimes.runtime import FleetError

_DOWN_SECONDS = 30.0
"""How long killed containers stay down."""


def add_arguments(parser: Parser) -> None:
    """The options of ``bench fleet``."""
    parser.epilog = "Bags that are drawn are kept in DIR/bags for the next bench; all else goes."
    parser.add_argument("file", type=Path, metavar="FILE", help="the fleet's description (.yaml)")
    parser.add_argument("--runtime", choices=RUNTIMES, help="instead of the file's")
    parser.add_argument(
        "--vehicles",
        type=positive,
        nargs="+",
        default=[None],
        metavar="N",
        help="sizes, one fleet after the other, instead of the file's",
    )
    parser.add_argument("--iterations", type=positive, metavar="N", help="instead of the file's")
    parser.add_argument(
        "--fault",
        choices=("kill", "disconnect"),
        help="after the first iteration: kill some containers, and start them 30 s later; or cut "
        "some off for two iterations",
    )
    parser.add_argument(
        "--victims", type=positive, default=10, metavar="N", help="how many (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of their choice (%(default)s)")
    parser.add_argument(
        "--timeout",
        type=positive,
        default=1800,
        metavar="SECONDS",
        help="the longest that a fleet may take (%(default)s)",
    )
    parser.add_argument(
        "--fleets", type=Path, default=Path("out/bench"), metavar="DIR", help="(%(default)s)"
    )
    parser.add_json("one JSON object a line")


def main(args: argparse.Namespace) -> int:
    """Run the fleets and print what each came to; 1 where one didn't agree or verify."""
    console = Console(stderr=True)
    results = []
    try:
        for size in args.vehicles:
            console.print(f"fleet of {size or 'the size in the file'}")
            overrides = Overrides(args.runtime, size, args.iterations)
            fleet = load_description(args.file, size, args.iterations)
            fault = _fault(args, fleet)
            with signals_as_interrupt():
                results.append(
                    run_trial(
                        args.file, args.fleets, overrides, fleet, fault, console, args.timeout
                    )
                )
            if args.json:
                print_lines([asdict(results[-1])], as_json=True)
    except FLEET_ERRORS as error:
        raise CommandError(f"bench fleet: {error}") from error
    if not args.json:
        Console().print(_table(results))
    return 0 if all(result.agreed and result.verified for result in results) else 1


def _fault(args: argparse.Namespace, fleet: FleetDescription) -> Fault:
    """What is to befall a fleet. Raises FleetError where that can't be."""
    if args.fault is None:
        return Fault()
    if (args.runtime or fleet.runtime) != "docker":
        raise FleetError("--fault befalls containers: take the runtime docker")
    names = [vehicle.name for vehicle in fleet.vehicles]
    if args.victims > len(names):
        raise FleetError(f"--victims {args.victims}: the fleet has {len(names)} vehicles")
    victims = draw_victims(names, args.victims, args.seed)
    if args.fault == "kill":
        return KillFault([Kill(1, victims, 0.0, _DOWN_SECONDS)], look_at_disks=False)
    others = tuple(name for name in names if name not in victims)
    return PartitionFault(Partition(others, victims, 1, fleet.task.iterations))


def _table(results: list[TrialResult]) -> Table:
    headings = (
        "vehicles", "malicious", "fault", "up s", "learn s", "iterations", "consensus s",
        "peak MB", "accuracy", "one tip", "verified", "down s",
    )  # fmt: skip
    rows = (
        (
            r.vehicles,
            r.malicious,
            r.fault if not r.victims else f"{r.fault} {len(r.victims)}",
            f"{r.up_seconds:.0f}",
            f"{r.learn_seconds:.0f}",
            r.iterations,
            f"{r.consensus_median:.2f}",
            r.peak_rss_mb,
            f"{r.accuracy:.1%}",
            "yes" if r.agreed else "NO",
            "yes" if r.verified else "NO",
            f"{r.down_seconds:.0f}",
        )
        for r in results
    )
    return figures("fleets", headings, rows)
