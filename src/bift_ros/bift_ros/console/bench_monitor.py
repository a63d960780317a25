"""``./bift bench monitor``: what the monitor costs while a fleet is at rest.

What is measured, and how, is in `bift_ros.benchmarks.monitor`.
"""

from __future__ import annotations

import argparse

from bift_ros.benchmarks import monitor
from bift_ros.console.arguments import positive
from bift_ros.console.bench_lines import print_lines
from bift_ros.console.errors import CommandError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``bench monitor``."""
    parser.add_argument(
        "--vehicles", type=positive, default=30, metavar="N", help="how many (default 30)"
    )
    parser.add_argument(
        "--seconds", type=positive, default=10, metavar="S", help="of an interval (default 10)"
    )
    parser.add_argument(
        "--intervals", type=positive, default=3, metavar="N", help="how many (default 3)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def main(args: argparse.Namespace) -> int:
    """Run the bench and print it."""
    try:
        print_lines(monitor.run(args.vehicles, args.seconds, args.intervals), args.json)
    except monitor.MonitorBenchError as error:
        raise CommandError(str(error)) from error
    return 0
