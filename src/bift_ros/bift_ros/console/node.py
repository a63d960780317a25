"""`./bift node run|submit-model`: a vehicle that does not mine, and what it has the fleet learn."""

from __future__ import annotations

import argparse
from pathlib import Path

from bift_ros.console.arguments import add_wait_argument, positive, whole
from bift_ros.console.defence import add_defence_arguments
from bift_ros.console.vehicle_process import add_process_arguments, run
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE, OPTIMIZERS
from bift_ros.pofl.aggregate import RULES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = (
        "Run a vehicle that perceives, trains, checks blocks, and never mines. Ctrl-C stops it; "
        "it resumes from its data folder."
    )
    process = actions.add_parser(
        "run",
        help=summary,
        description=summary,
        epilog="All other settings are ROS parameters: see config/vehicle.yaml and --params-file.",
    )
    add_process_arguments(process)
    _add_submit_model(actions)


def _add_submit_model(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The action and its options."""
    summary = "Propose a task: the fleet learns this model. Print the transaction's id."
    submit = actions.add_parser(
        "submit-model",
        help=summary,
        description=summary,
        epilog="The vehicle must be running: it serves the model to the others and speaks for "
        "itself. One task is active at a time. Vehicles train only architectures that their "
        "parameter allowed_architectures lists.",
    )
    submit.add_argument(
        "model",
        metavar="FILE|MODULE:FACTORY",
        help="safetensors with the parameters to begin with, or a network's factory, whose new "
        "parameters are drawn by --seed",
    )
    submit.add_argument(
        "--iterations", type=positive, required=True, metavar="N", help="of the task"
    )
    submit.add_argument("--data", type=Path, required=True, help="the vehicle's data folder")
    submit.add_argument(
        "--task", metavar="NAME", help="used once on a chain (default: the model's)"
    )
    submit.add_argument(
        "--architecture",
        default=DEFAULT_ARCHITECTURE,
        metavar="MODULE:FACTORY",
        help="that FILE is for (%(default)s)",
    )
    rule = submit.add_mutually_exclusive_group()
    rule.add_argument("--rule", choices=RULES, help="of aggregation (default: the genesis')")
    add_defence_arguments(rule, "aggregate")
    submit.add_argument("--local-epochs", type=positive, metavar="E", help="of an iteration")
    submit.add_argument("--batch-size", type=positive, metavar="B", help="samples a step")
    submit.add_argument("--learning-rate", type=float, metavar="RATE")
    submit.add_argument("--optimizer", choices=OPTIMIZERS)
    submit.add_argument("--seed", type=whole, default=0, help="of new parameters (%(default)s)")
    add_wait_argument(submit)
    submit.add_argument("--json", action="store_true", help="for machines")


def main(arguments: argparse.Namespace) -> int:
    """Run or submit."""
    if arguments.action == "run":
        return run(arguments, mine=False)
    # Imported here, since a vehicle's start should not wait for a client's imports.
    from bift_ros.console import submit_model

    return submit_model.main(arguments)
