"""Arguments that commands share. Free of ROS, whose import takes its time."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from bift_ros.identity.vehicle_names import is_vehicle_name

Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""The sub-commands of a command."""

# Each vehicle's training has a 31-bit seed of its own, made from this one.
_MAX_SEED = 2_000_000


def add_actions(parser: argparse.ArgumentParser, metavar: str = "ACTION") -> Actions:
    """Have a command take a sub-command."""
    return parser.add_subparsers(dest="action", metavar=metavar, required=True)


def add_action(
    actions: Actions,
    name: str,
    summary: str,
    handler: Callable[[argparse.Namespace], int | None] | None = None,
    **settings: Any,
) -> argparse.ArgumentParser:
    """Add a sub-command, which `handler` does; its parser."""
    parser = actions.add_parser(name, **{"help": summary, "description": summary, **settings})
    if handler is not None:
        parser.set_defaults(handler=handler)
    return parser


def add_json_argument(parser: argparse.ArgumentParser, shape: str = "for machines") -> None:
    """Print JSON, whose `shape` the help tells."""
    parser.add_argument("--json", action="store_true", help=shape)


def add_data_argument(parser: argparse._ActionsContainer) -> None:
    """Whose data folder is meant."""
    parser.add_argument("--data", type=Path, required=True, help="the vehicle's data folder")


def seed(text: str) -> int:
    """A seed for a whole run."""
    value = int(text)
    if not 0 <= value <= _MAX_SEED:
        raise argparse.ArgumentTypeError(f"{value} is not from 0 to {_MAX_SEED}")
    return value


def positive(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def whole(text: str) -> int:
    """A whole number from 0."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is less than 0")
    return value


def vehicle_name(text: str) -> str:
    """An argument that names a vehicle."""
    if not is_vehicle_name(text):
        raise argparse.ArgumentTypeError(
            f"{text!r:.80} is no vehicle's name, which is a ROS namespace: letters, digits and "
            "underscores, the first a letter"
        )
    return text


def seconds(text: str) -> float:
    """An argument that says how long to wait: more than 0 seconds, at most an hour."""
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0 and at most 3600 seconds")
    return value


def add_wait_argument(parser: argparse.ArgumentParser, default: float = 15.0) -> None:
    """How long vehicles may take to be heard and to answer."""
    parser.add_argument(
        "--wait",
        type=seconds,
        default=default,
        metavar="SECONDS",
        help="for a vehicle's answer (%(default)g)",
    )


def add_vehicle_arguments(parser: argparse._ActionsContainer, does: str) -> None:
    """Which running vehicle; the help says what it `does`."""
    parser.add_argument(
        "--vehicle",
        type=vehicle_name,
        metavar="NAME",
        help=f"running vehicle that {does} (default: any)",
    )
