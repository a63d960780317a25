"""``./bift bench chain``: what it costs to check blocks, and to load a long chain.

What is measured, and how, is in `bift_ros.benchmarks.chain`.
"""

from __future__ import annotations

import argparse

from bift_ros.benchmarks import chain
from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError
from bift_ros.console.output import print_lines


def add_arguments(parser: Parser) -> None:
    """The options of ``bench chain``."""
    parser.add_argument(
        "--updates", type=int, default=30, metavar="N", help="updates in a block (default 30)"
    )
    parser.add_argument(
        "--blocks", type=int, default=10_000, metavar="N", help="the chain's length (default 10000)"
    )
    parser.add_json("one JSON object a line")


def main(args: argparse.Namespace) -> None:
    """Run the bench and print it."""
    if not 1 <= args.updates <= 150 or args.blocks < 2:
        raise CommandError(
            "bench chain: --updates wants 1 to 150 (a block holds no more), --blocks at least 2"
        )
    print_lines(chain.run(args.updates, args.blocks), args.json)
