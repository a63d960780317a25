"""``./bift bench monitor``: what the monitor costs while a fleet is at rest.

What is measured, and how, is in `bift_ros.benchmarks.monitor`.
"""

from __future__ import annotations

import argparse

from bift_ros.benchmarks import monitor
from bift_ros.console.arguments import Parser, positive
from bift_ros.console.errors import reporting
from bift_ros.console.output import print_lines


def add_arguments(parser: Parser) -> None:
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
    parser.add_json("one JSON object a line")


@reporting(monitor.MonitorBenchError)
def main(args: argparse.Namespace) -> None:
    """Run the bench and print it."""
    print_lines(monitor.run(args.vehicles, args.seconds, args.intervals), args.json)
