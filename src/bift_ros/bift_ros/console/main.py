"""`./bift COMMAND …`: every command's parser, and the errors a person gets."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError
from bift_ros.nodes.buses import BusError

# Each command is the module of its name, with `add_arguments(parser)`, and `main(arguments)` unless
# each of its actions has a handler; both give the exit status, or None for 0. Only the chosen
# module is imported, since some take seconds.
COMMANDS = {
    "demo": "run a fleet on this machine: replay, train, agree",
    "fleet": "run a fleet that a file describes: up, status, logs, down",
    "dashboard": "see the fleet in the browser, live",
    "chaos": "kill vehicles, cut the network: does the fleet agree?",
    "bag": "make and inspect rosbags: synth, from-images, info",
    "account": "make and show keys: create, list, show",
    "genesis": "make a fleet's genesis file: create",
    "security": "keep strangers off the buses with DDS security: create, add, renew, revoke",
    "node": "run a vehicle without mining, have the fleet learn a model: run, submit-model",
    "miner": "run a vehicle that mines too, or stop it: start, stop",
    "tx": "give stake to another member: transfer, show",
    "task": "what the fleet learns: list, show, cancel",
    "member": "see the members, vote on joining and leaving: vote, list",
    "data": "share files with the fleet: share, get, list, withdraw",
    "system": "see the running vehicles: show",
    "monitor": "watch a fleet with the tools of ROS, record it, watch it again: run, replay",
    "chain": "read and check a vehicle's chain: show, verify, export",
    "report": "a finished run as a page with plots, or as JSON",
    "storage": "run a vehicle's IPFS daemon by hand: kubo init, start, stop, status",
    "bench": "measure: aggregation, chain, fleet, monitor, storage, training",
    "simulate": "run fleets in virtual time, under faults of all kinds",
    "completion": "complete commands in a shell: bash, zsh",
    "experiment": "run a documented experiment",
}


def build_parser(*wanted: str) -> Parser:
    """The parser, with the arguments of the `wanted` commands alone; of none, the overview."""
    parser = Parser(
        prog="bift",
        description="Federated learning across a fleet of vehicles, with no server.",
        epilog="./bift COMMAND --help tells more; docs/guide.md is a guided tour.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
        if name in wanted:
            command = importlib.import_module(f"bift_ros.console.{name}")
            sub.set_defaults(handler=getattr(command, "main", None))
            command.add_arguments(sub)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status. 2: bad usage or input; 130: interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = build_parser(*given[:1]).parse_args(given)
    try:
        return int(parsed.handler(parsed) or 0)
    except (CommandError, BusError) as error:
        print(f"bift: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bift: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read has seen enough. What is left to print must not fail at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
