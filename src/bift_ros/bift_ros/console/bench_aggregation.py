"""``./bift bench aggregation``: our PoFL rules beside ByzFL's and Flower's, on the same updates.

What is measured, and how, is in `bift_ros.benchmarks.aggregation`.
"""

from __future__ import annotations

import argparse
import json

from rich import box
from rich.console import Console
from rich.table import Table

from bift_ros.benchmarks import aggregation


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def main(args: argparse.Namespace) -> int:
    """Run the bench and print it; 2 for arguments that make no sense."""
    console = Console()
    try:
        sizes = [int(size) for size in args.parameters.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1 or args.vehicles < 1 or args.byzantine < 0:
        Console(stderr=True).print(
            "bench aggregation: --parameters wants whole numbers of at least 1 separated by commas,"
            " --vehicles at least 1, --byzantine at least 0"
        )
        return 2
    results = aggregation.run(args.vehicles, args.byzantine, sizes)
    if args.json:
        for result in results:
            print(json.dumps(result), flush=True)
        return 0
    table = Table(
        title=f"{args.vehicles} updates, {args.byzantine} assumed Byzantine",
        caption="times in ms; ratio: theirs over ours; peak: memory over the inputs'",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for column in ("rule", "parameters", "ours", "peer", "theirs", "ratio", "peak"):
        left = column in ("rule", "peer")
        table.add_column(column, justify="left" if left else "right", no_wrap=True)
    for result in results:
        ratio = result["ratio"]
        table.add_row(
            result["rule"],
            f"{result['parameters']:,}",
            f"{result['ours_ms']:.1f}",
            f"{result['peer']}, {result['peer_input']}" if result["peer"] else "–",
            f"{result['peer_ms']:.1f}" if result["peer"] else "–",
            f"{ratio:.1f}×" if ratio else "–",
            f"{result['peak_over_input']:.2f}",
        )
    console.print(table)
    return 0
