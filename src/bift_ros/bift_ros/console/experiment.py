"""`./bift experiment fixed-point`: documented, repeatable experiments."""

from __future__ import annotations

import argparse

from bift_ros.experiments import fixed_point


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True)
    summary = "Compare FedAvg in fixed point with FedAvg in float32 on the same seeds."
    fixed_point.add_arguments(actions.add_parser("fixed-point", help=summary, description=summary))


def main(arguments: argparse.Namespace) -> int:
    """Run the chosen experiment."""
    return fixed_point.main(arguments)
