"""`./bift miner start|stop`: a vehicle that mines, and mining of vehicles that run already."""

from __future__ import annotations

import argparse

from bift_ros.console.arguments import add_wait_argument, vehicle_name
from bift_ros.console.defence import add_defence_arguments
from bift_ros.console.errors import CommandError
from bift_ros.console.keys import add_key_arguments
from bift_ros.console.vehicle_process import add_process_arguments, run

_NEEDED = ("genesis", "key", "data")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = (
        "Run a vehicle that perceives, trains, checks blocks and mines them; Ctrl-C stops it, and "
        "it resumes from its data folder. With --on: have vehicles that run already mine."
    )
    start = actions.add_parser(
        "start",
        help=summary,
        description=summary,
        epilog="Without --on, --genesis, --key and --data are needed. All other settings are ROS "
        "parameters: see config/vehicle.yaml and --params-file.",
    )
    add_process_arguments(start, required=False)
    add_defence_arguments(
        start.add_mutually_exclusive_group(), "aggregate the task of --propose, or the fleet's,"
    )
    summary = "Have running vehicles make no more blocks, until they start anew or are told to."
    stop = actions.add_parser(
        "stop",
        help=summary,
        description=summary,
        epilog="Only a vehicle's owner is heard, who has its key: an account, or --key.",
    )
    add_key_arguments(stop, "the vehicle's (default: any account)")
    for action in (start, stop):
        action.add_argument(
            "--on",
            nargs="*",
            type=vehicle_name,
            metavar="NAME",
            help="running vehicles; without a name all whose keys are among the accounts",
        )
        add_wait_argument(action, default=5.0)
    start.add_argument("--json", action="store_true", help="with --on: for machines")
    stop.add_argument("--json", action="store_true", help="for machines")


def main(arguments: argparse.Namespace) -> int:
    """Start or stop."""
    if arguments.action == "stop":
        return _set_mining(arguments, False)
    if arguments.on is not None:
        if arguments.defend is not None:
            raise CommandError(
                "a running vehicle aggregates as the task says: --with-defend and --no-defend are "
                "for `bift node submit-model`, or for --propose where a vehicle starts"
            )
        return _set_mining(arguments, True)
    missing = [f"--{name}" for name in _NEEDED if getattr(arguments, name) is None]
    if missing:
        raise CommandError(
            f"to start a vehicle, give {', '.join(missing)} too; to have one mine that runs "
            "already, give --on NAME"
        )
    return run(arguments, mine=True, defend=arguments.defend)


def _set_mining(arguments: argparse.Namespace, mine: bool) -> int:
    # Imported here, since a vehicle's start should not wait for a client's imports.
    from bift_ros.console.mining import set_mining

    return set_mining(arguments, mine)
