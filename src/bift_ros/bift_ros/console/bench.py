"""`./bift bench`: speed and memory against peer libraries, in one run."""

from __future__ import annotations

import argparse

from bift_ros.console import bench_aggregation, bench_chain, bench_storage, bench_training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True)
    summary = "Time PoFL's rules, ByzFL's and Flower's on the same updates."
    bench_aggregation.add_arguments(
        actions.add_parser("aggregation", help=summary, description=summary)
    )
    summary = "Time checking blocks beside bare signatures, and loading a long chain."
    bench_chain.add_arguments(actions.add_parser("chain", help=summary, description=summary))
    summary = "Time sharing files beside SFTP, among many vehicles; or with one on loopback."
    bench_storage.add_arguments(actions.add_parser("storage", help=summary, description=summary))
    summary = "Time training a federation in one batch beside a loop over its vehicles."
    bench_training.add_arguments(actions.add_parser("training", help=summary, description=summary))


def main(arguments: argparse.Namespace) -> int:
    """Run the chosen bench."""
    if arguments.action == "chain":
        return bench_chain.main(arguments)
    if arguments.action == "storage":
        return bench_storage.main(arguments)
    if arguments.action == "training":
        return bench_training.main(arguments)
    return bench_aggregation.main(arguments)
