"""`./bift miner start|stop`: a vehicle that mines, and mining of vehicles that run already."""

from __future__ import annotations

import argparse

from bift_ros.console.arguments import Parser, vehicle_name
from bift_ros.console.defence import add_defence_arguments
from bift_ros.console.errors import CommandError
from bift_ros.console.keys import add_key_arguments
from bift_ros.console.vehicle_process import add_process_arguments, run

_NEEDED = ("genesis", "key", "data")


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    start = parser.add_action(
        "start",
        "Run a vehicle that perceives, trains, checks blocks and mines them; Ctrl-C stops it, and "
        "it resumes from its data folder. With --on: have vehicles that run already mine.",
        _start,
        epilog="Without --on, --genesis, --key and --data are needed. All other settings are ROS "
        "parameters: see config/vehicle.yaml and --params-file.",
    )
    add_process_arguments(start, required=False)
    add_defence_arguments(
        start.add_mutually_exclusive_group(), "aggregate the task of --propose, or the fleet's,"
    )
    stop = parser.add_action(
        "stop",
        "Have running vehicles make no more blocks, until they start anew or are told to.",
        _stop,
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
        action.add_wait(default=5.0)
    start.add_json("with --on: for machines")
    stop.add_json()


def _start(arguments: argparse.Namespace) -> None:
    if arguments.on is not None:
        if arguments.defend is not None:
            raise CommandError(
                "a running vehicle aggregates as the task says: --with-defend and --no-defend are "
                "for `bift node submit-model`, or for --propose where a vehicle starts"
            )
        _set_mining(arguments, True)
        return
    missing = [f"--{name}" for name in _NEEDED if getattr(arguments, name) is None]
    if missing:
        raise CommandError(
            f"to start a vehicle, give {', '.join(missing)} too; to have one mine that runs "
            "already, give --on NAME"
        )
    run(arguments, mine=True, defend=arguments.defend)


def _stop(arguments: argparse.Namespace) -> None:
    _set_mining(arguments, False)


def _set_mining(arguments: argparse.Namespace, mine: bool) -> None:
    # Imported here, since a vehicle's start should not wait for a client's imports.
    from bift_ros.console.mining import set_mining

    set_mining(arguments, mine)
