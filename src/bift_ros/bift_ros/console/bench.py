"""`./bift bench`: speed and memory against peer libraries, in one run."""

from __future__ import annotations

from importlib import import_module

from bift_ros.console.arguments import Parser

_BENCHES = {
    "aggregation": "Time PoFL's rules, ByzFL's and Flower's on the same updates.",
    "chain": "Time checking blocks beside bare signatures, and loading a long chain.",
    "fleet": "Run whole fleets to their task's end, by size and under faults, and time them.",
    "longrun": "Run a small fleet for many iterations, and watch its disk and memory.",
    "monitor": "Measure what the monitor costs while a fleet is at rest.",
    "storage": "Time sharing files beside SFTP, among many vehicles; or with one on loopback.",
    "training": "Time training a federation in one batch beside a loop over its vehicles.",
}


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    parser.take_actions("WHAT")
    for name, summary in _BENCHES.items():
        bench = import_module(f"bift_ros.console.bench_{name}")
        bench.add_arguments(parser.add_action(name, summary, bench.main))
