"""`./bift bench`: speed and memory against peer libraries, in one run."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from bift_ros.console import (
    bench_aggregation,
    bench_chain,
    bench_fleet,
    bench_monitor,
    bench_storage,
    bench_training,
)

_BENCHES: Mapping[str, Any] = {
    "aggregation": bench_aggregation,
    "chain": bench_chain,
    "fleet": bench_fleet,
    "monitor": bench_monitor,
    "storage": bench_storage,
    "training": bench_training,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True)
    summary = "Time PoFL's rules, ByzFL's and Flower's on the same updates."
    bench_aggregation.add_arguments(
        actions.add_parser("aggregation", help=summary, description=summary)
    )
    summary = "Time checking blocks beside bare signatures, and loading a long chain."
    bench_chain.add_arguments(actions.add_parser("chain", help=summary, description=summary))
    summary = "Run whole fleets to their task's end, by size and under faults, and time them."
    bench_fleet.add_arguments(actions.add_parser("fleet", help=summary, description=summary))
    summary = "Measure what the monitor costs while a fleet is at rest."
    bench_monitor.add_arguments(actions.add_parser("monitor", help=summary, description=summary))
    summary = "Time sharing files beside SFTP, among many vehicles; or with one on loopback."
    bench_storage.add_arguments(actions.add_parser("storage", help=summary, description=summary))
    summary = "Time training a federation in one batch beside a loop over its vehicles."
    bench_training.add_arguments(actions.add_parser("training", help=summary, description=summary))


def main(arguments: argparse.Namespace) -> int:
    """Run the chosen bench."""
    result: int = _BENCHES[arguments.action].main(arguments)
    return result
