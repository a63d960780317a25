"""`./bift system show`: the vehicles that are running now."""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console

from bift_ros.console.errors import CommandError
from bift_ros.fleet.display import equivocation_table, vehicle_table
from bift_ros.nodes.monitor import FleetMonitor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = "Show every running vehicle's state, chain and stake, as it says itself over DDS."
    show = actions.add_parser(
        "show",
        help=summary,
        description=summary,
        epilog="Vehicles are found in the ROS domain of ROS_DOMAIN_ID.",
    )
    show.add_argument(
        "--wait", type=float, default=3.0, metavar="SECONDS", help="listen this long (%(default)s)"
    )
    show.add_argument(
        "--expect", type=int, default=0, metavar="N", help="stop listening once N have spoken"
    )
    show.add_argument("--json", action="store_true", help="one object a vehicle, as a list")


def main(arguments: argparse.Namespace) -> int:
    """Listen, then print; 1 where nobody was heard."""
    if arguments.wait <= 0:
        raise CommandError("--wait must be more than 0 seconds")
    monitor = FleetMonitor()
    try:
        monitor.wait(
            lambda heard: 0 < arguments.expect <= sum(map(bool, heard.values())), arguments.wait
        )
        vehicles = {n: s for n, s in monitor.vehicles.items() if s}
    finally:
        monitor.close()
    if arguments.json:
        print(json.dumps(list(vehicles.values())))
    elif vehicles:
        console = Console()
        console.print(vehicle_table(vehicles))
        equivocations = equivocation_table(vehicles)
        if equivocations is not None:
            console.print(equivocations)
    if not vehicles:
        print("bift: no vehicle was heard; is one running in this ROS_DOMAIN_ID?", file=sys.stderr)
        return 1
    return 0
