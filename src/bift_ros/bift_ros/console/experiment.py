"""`./bift experiment …`: the paper's tables and figures, and other documented experiments."""

from __future__ import annotations

import argparse

from bift_ros.console import fedavg_experiments, paper_experiments
from bift_ros.experiments.plan import FIGURES

_PAPER = {
    "table7": "Compare the rules under the paper's attacks (Table VII).",
    **{name: f"Draw the paper's Figure {name[3:]}." for name in FIGURES},
    "defences": "Show each part's share in Bift's defence.",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True)
    for name, summary in _PAPER.items():
        action = actions.add_parser(name, help=summary, description=summary)
        paper_experiments.add_arguments(action, name)
    for name, (_, summary) in fedavg_experiments.EXPERIMENTS.items():
        fedavg_experiments.add_arguments(actions.add_parser(name, help=summary), name)


def main(arguments: argparse.Namespace) -> int:
    """Run the chosen experiment."""
    if arguments.action in _PAPER:
        return paper_experiments.main(arguments)
    return fedavg_experiments.main(arguments)
