"""`./bift experiment fixed-point|dataset-difficulty`: documented, repeatable experiments."""

from __future__ import annotations

import argparse

from bift_ros.experiments import dataset_difficulty, fixed_point

_EXPERIMENTS = {"fixed-point": fixed_point, "dataset-difficulty": dataset_difficulty}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True)
    summaries = {
        "fixed-point": "Compare FedAvg in fixed point with FedAvg in float32 on the same seeds.",
        "dataset-difficulty": "Train plain FedAvg on synthetic crops until it has ended.",
    }
    for name, summary in summaries.items():
        _EXPERIMENTS[name].add_arguments(actions.add_parser(name, help=summary))


def main(arguments: argparse.Namespace) -> int:
    """Run the chosen experiment."""
    code: int = _EXPERIMENTS[arguments.action].main(arguments)
    return code
