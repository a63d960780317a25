"""`./bift experiment …`: the paper's tables and figures, and other documented experiments."""

from __future__ import annotations

from bift_ros.console import fedavg_experiments, paper_experiments
from bift_ros.console.arguments import Parser
from bift_ros.experiments.plan import FIGURES

_PAPER = {
    "table7": "Compare the rules under the paper's attacks (Table VII).",
    **{name: f"Draw the paper's Figure {name[3:]}." for name in FIGURES},
    "defences": "Show each part's share in Bift's defence.",
}


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    parser.take_actions("WHAT")
    for name, summary in _PAPER.items():
        action = parser.add_action(name, summary, paper_experiments.main)
        paper_experiments.add_arguments(action, name)
    for name, (_, summary) in fedavg_experiments.EXPERIMENTS.items():
        action = parser.add_action(name, summary, fedavg_experiments.main)
        fedavg_experiments.add_arguments(action, name)
