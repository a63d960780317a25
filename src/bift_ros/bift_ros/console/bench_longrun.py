"""``./bift bench longrun``: what a fleet takes on disk and in memory over many iterations.

What is measured, and how, is in `bift_ros.benchmarks.long_run`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bift_ros.benchmarks import long_run
from bift_ros.benchmarks.long_run_plot import plot
from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError
from bift_ros.console.output import print_lines


def add_arguments(parser: Parser) -> None:
    """The options of ``bench longrun``."""
    parser.add_argument("--vehicles", type=int, default=3, metavar="N", help="(%(default)s)")
    parser.add_argument("--iterations", type=int, default=1000, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--storage-mb", type=int, default=16, metavar="MIB", help="a store's cap (%(default)s)"
    )
    parser.add_argument(
        "--every", type=int, default=10, metavar="N", help="iterations a line (%(default)s)"
    )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the lines into this file")
    parser.add_json("one JSON object a line")


def main(args: argparse.Namespace) -> int:
    """Run the bench, print and draw it; 1 where the fleet stopped."""
    if min(args.vehicles - 1, args.iterations, args.storage_mb, args.every) < 1:
        raise CommandError("bench longrun: it takes two vehicles, and 1 of all else")
    rows: list[dict[str, Any]] = []

    def noted() -> Iterator[dict[str, Any]]:
        for row in long_run.run(args.vehicles, args.iterations, args.storage_mb, args.every):
            rows.append(row)
            yield row

    print_lines(noted(), args.json)
    measured = [row for row in rows if "iteration" in row]
    if args.plot is not None and measured:
        plot(measured, args.plot)
    return 0 if len(measured) == len(rows) else 1
