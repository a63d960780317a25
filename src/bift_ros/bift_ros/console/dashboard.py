"""`./bift dashboard`: the fleet in the browser."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.output import show
from bift_ros.dashboard.server import DashboardError
from bift_ros.fleet.runs.live_dashboard import live_dashboard
from bift_ros.fleet.runtimes.runtime import FleetError


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.epilog = "The page is for this machine alone. docs/dashboard.md explains it."
    parser.add_argument("--port", type=_port, default=0, help="default: any that is free")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of a fleet (out/fleets/NAME) or demo (out/demo): listens where that fleet "
        "talks, and shows its vehicles' samples; default: the fleet of ROS_DOMAIN_ID",
    )
    parser.add_json("print the address as JSON")


@reporting(DashboardError, FleetError)
def main(arguments: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C or SIGTERM, which end it well."""
    if arguments.data is not None and not arguments.data.is_dir():
        raise CommandError(f"there is no folder {arguments.data}: name that of a fleet or demo")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with live_dashboard(arguments.data, arguments.port) as url:
            show(arguments.json, {"url": url}, f"The fleet's page: {url}  (Ctrl-C ends it)")
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        return
    raise AssertionError("a pause ends by a signal")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 1 to 65535, or 0 for a free one")
    return int(text)
