"""``./bift bench aggregation``: our PoFL rules beside ByzFL's and Flower's, on the same updates.

What is measured, and how, is in `bift_ros.benchmarks.aggregation`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from bift_ros.benchmarks import aggregation
from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError
from bift_ros.console.output import figures, print_lines


def add_arguments(parser: Parser) -> None:
    """The options of ``bench aggregation``."""
    parser.add_argument(
        "--vehicles", type=int, default=30, metavar="N", help="updates (default 30)"
    )
    parser.add_argument(
        "--byzantine", type=int, default=6, metavar="F", help="of them assumed hostile (default 6)"
    )
    parser.add_argument(
        "--parameters",
        default="100000,1000000",
        metavar="D[,D…]",
        help="model sizes, separated by commas (default 100000,1000000)",
    )
    parser.add_json("one JSON object a line")


def main(args: argparse.Namespace) -> None:
    """Run the bench and print it."""
    try:
        sizes = [int(size) for size in args.parameters.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1 or args.vehicles < 1 or args.byzantine < 0:
        raise CommandError(
            "bench aggregation: --parameters wants whole numbers of at least 1 separated by commas,"
            " --vehicles at least 1, --byzantine at least 0"
        )
    results = aggregation.run(args.vehicles, args.byzantine, sizes)
    if args.json:
        print_lines(results, as_json=True)
        return
    table = figures(
        f"{args.vehicles} updates, {args.byzantine} assumed Byzantine",
        ("rule", "parameters", "ours", "peer", "theirs", "ratio", "peak"),
        map(_row, results),
        left=("rule", "peer"),
        caption="times in ms; ratio: theirs over ours; peak: memory over the inputs'",
    )
    Console().print(table)


def _row(result: Mapping[str, Any]) -> tuple[str, ...]:
    peer, ratio = result["peer"], result["ratio"]
    return (
        result["rule"],
        f"{result['parameters']:,}",
        f"{result['ours_ms']:.1f}",
        f"{peer}, {result['peer_input']}" if peer else "–",
        f"{result['peer_ms']:.1f}" if peer else "–",
        f"{ratio:.1f}×" if ratio else "–",
        f"{result['peak_over_input']:.2f}",
    )
