"""`./bift dashboard`: the fleet in the browser."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path

from bift_ros.console.errors import CommandError
from bift_ros.dashboard.server import DashboardError
from bift_ros.fleet.runs.live_dashboard import live_dashboard
from bift_ros.fleet.runtimes.runtime import FleetError


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--json", action="store_true", help="print the address as JSON")


def main(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C or SIGTERM, which end it well."""
    if arguments.data is not None and not arguments.data.is_dir():
        raise CommandError(f"there is no folder {arguments.data}: name that of a fleet or demo")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with live_dashboard(arguments.data, arguments.port) as url:
            if arguments.json:
                print(json.dumps({"url": url}), flush=True)
            else:
                print(f"The fleet's page: {url}  (Ctrl-C ends it)", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except (DashboardError, FleetError) as error:
        raise CommandError(str(error)) from error
    raise AssertionError("a pause ends by a signal")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 1 to 65535, or 0 for a free one")
    return int(text)
