"""Arguments that commands share. Free of ROS, whose import takes its time."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bift_ros.identity.vehicle_names import is_vehicle_name

# Each vehicle's training has a 31-bit seed of its own, made from this one.
_MAX_SEED = 2_000_000


class Parser(argparse.ArgumentParser):
    """The parser of a command or of one of its actions, with the options that many have."""

    _actions_of_command: argparse._SubParsersAction[Parser] | None = None

    def take_actions(self, metavar: str = "ACTION") -> None:
        """Have the command take one of the actions that are added from now on."""
        self._actions_of_command = self.add_subparsers(
            dest="action", metavar=metavar, required=True
        )

    def add_action(
        self,
        name: str,
        summary: str,
        handler: Callable[[argparse.Namespace], int | None] | None = None,
        **settings: Any,
    ) -> Parser:
        """Add an action, which `handler` does; its parser."""
        if self._actions_of_command is None:
            self.take_actions()
        assert self._actions_of_command is not None
        settings = {"help": summary, "description": summary, **settings}
        action = self._actions_of_command.add_parser(name, **settings)
        if handler is not None:
            action.set_defaults(handler=handler)
        return action

    def add_json(self, shape: str = "for machines") -> None:
        """Print JSON, whose `shape` the help tells."""
        self.add_argument("--json", action="store_true", help=shape)

    def add_data(self) -> None:
        """Whose data folder is meant."""
        self.add_argument("--data", type=Path, required=True, help="the vehicle's data folder")

    def add_wait(self, default: float = 15.0) -> None:
        """How long vehicles may take to be heard and to answer."""
        self.add_argument(
            "--wait",
            type=seconds,
            default=default,
            metavar="SECONDS",
            help="for a vehicle's answer (%(default)g)",
        )


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


def add_vehicle_arguments(parser: argparse._ActionsContainer, does: str) -> None:
    """Which running vehicle; the help says what it `does`."""
    parser.add_argument(
        "--vehicle",
        type=vehicle_name,
        metavar="NAME",
        help=f"running vehicle that {does} (default: any)",
    )
