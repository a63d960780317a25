"""`./bift node run|submit-model`: a vehicle that does not mine, and what it has the fleet learn."""

from __future__ import annotations

import argparse

from bift_ros.console.arguments import Parser, positive, whole
from bift_ros.console.defence import add_defence_arguments
from bift_ros.console.vehicle_process import add_process_arguments, run
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE, OPTIMIZERS
from bift_ros.pofl.aggregate import RULES


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    process = parser.add_action(
        "run",
        "Run a vehicle that perceives, trains, checks blocks, and never mines. Ctrl-C stops it; "
        "it resumes from its data folder.",
        _run,
        epilog="All other settings are ROS parameters: see config/vehicle.yaml and --params-file.",
    )
    add_process_arguments(process)
    submit = parser.add_action(
        "submit-model",
        "Propose a task: the fleet learns this model. Print the transaction's id.",
        _submit_model,
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
    submit.add_data()
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
    submit.add_wait()
    submit.add_json()


def _run(arguments: argparse.Namespace) -> None:
    run(arguments, mine=False)


def _submit_model(arguments: argparse.Namespace) -> None:
    # Imported here, since a vehicle's start should not wait for a client's imports.
    from bift_ros.console import submit_model

    submit_model.main(arguments)
