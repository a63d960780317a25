"""`./bift fleet`: a fleet that a file describes, brought up, looked at and taken down."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bift_ros.console import fleet_containers
from bift_ros.console.arguments import Parser, positive
from bift_ros.console.errors import reporting
from bift_ros.console.output import show, table
from bift_ros.console.run_arguments import FLEET_ERRORS
from bift_ros.fleet.runs.bring_up import Overrides, bring_up, find
from bift_ros.fleet.runs.fleet import ENDED, Fleet
from bift_ros.fleet.runs.signals import ignoring_signals, signals_as_interrupt
from bift_ros.fleet.runs.watching import json_lines, live_view, watch
from bift_ros.fleet.runtimes.folder import FLEETS
from bift_ros.fleet.runtimes.registry import RUNTIMES
from bift_ros.fleet.runtimes.runtime import Monitor


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    parser.epilog = "docs/fleets.md explains the file and the commands."
    _add_up(parser)
    status = _add(parser, "status", "Show every vehicle's state, chain and stake.", _status)
    status.add_argument(
        "--wait", type=positive, default=10, metavar="SECONDS", help="listen so long (%(default)s)"
    )
    status.add_json("one object a vehicle, as a list")
    logs = _add(parser, "logs", "Print the vehicles' logs.", _logs)
    logs.add_argument("--vehicle", action="append", default=[], metavar="NAME", help="only its log")
    logs.add_argument("--follow", action="store_true", help="go on while a vehicle runs")
    summary = "End every vehicle and remove what the fleet has made."
    _keep_data(_add(parser, "down", summary, _down))
    fleet_containers.add_arguments(parser)


def _add(
    parser: Parser, name: str, summary: str, handler: Callable[[argparse.Namespace], int | None]
) -> Parser:
    action = parser.add_action(name, summary, handler)
    action.add_argument(
        "fleet", metavar="FILE|NAME", help="its description (.yaml), or its name once it was up"
    )
    action.add_argument(
        "--fleets", type=Path, default=FLEETS, metavar="DIR", help="where fleets lie (%(default)s)"
    )
    return action


def _keep_data(action: Parser) -> None:
    action.add_argument(
        "--keep-data", action="store_true", help="keep keys, chains, datasets and logs"
    )


def _add_up(parser: Parser) -> None:
    summary = "Start every vehicle and wait until each has heard all the others."
    action = _add(parser, "up", summary, _up)
    action.epilog = (
        "Stays and shows the fleet's state; Ctrl-C takes it down. What an earlier fleet of the "
        "name has kept is resumed."
    )
    action.add_argument("--runtime", choices=RUNTIMES, help="instead of the file's")
    action.add_argument("--vehicles", type=positive, metavar="N", help="instead of the file's")
    action.add_argument("--iterations", type=positive, metavar="N", help="instead of the file's")
    action.add_argument("--detach", action="store_true", help="return once the fleet is up")
    action.add_argument(
        "--timeout",
        type=positive,
        default=300,
        metavar="SECONDS",
        help="the longest that vehicles may take to hear each other (%(default)s)",
    )
    _keep_data(action)
    action.add_json("a list of vehicles, on a line whenever it changes")


@reporting(*FLEET_ERRORS)
def _up(arguments: argparse.Namespace) -> int:
    """Bring a fleet up, and stay with it unless told otherwise."""
    console = Console(stderr=arguments.json)
    overrides = Overrides(arguments.runtime, arguments.vehicles, arguments.iterations)
    is_up = False
    with signals_as_interrupt():
        fleet = bring_up(arguments.fleet, arguments.fleets, overrides, console)
        try:
            with fleet.listening() as monitor:
                with live_view(console) as view:
                    seconds = fleet.wait(monitor, arguments.timeout, view)
                is_up = True
                console.print(
                    f"The fleet {fleet.record.name} is up: {len(fleet.record.vehicles)} vehicles "
                    f"heard each other after {seconds:.1f} s"
                )
                if not arguments.detach:
                    _stay(fleet, monitor, console, arguments.json)
                elif arguments.json:
                    print(json.dumps(fleet.rows(monitor.vehicles)))
        except KeyboardInterrupt:
            console.print(f"Taking the fleet {fleet.record.name} down")
            with ignoring_signals():
                fleet.down(arguments.keep_data)
            return 0 if is_up else 130
        except BaseException:
            with ignoring_signals():
                fleet.down(keep_data=True)  # its logs tell why
            raise
    return 0


def _stay(fleet: Fleet, monitor: Monitor, console: Console, as_json: bool) -> None:
    def warn(text: str) -> None:
        console.print(text, markup=False)

    if as_json:
        watch(fleet, monitor, json_lines(fleet), warn)
    with live_view(console) as view:
        watch(fleet, monitor, view, warn)


@reporting(*FLEET_ERRORS)
def _status(arguments: argparse.Namespace) -> int:
    """Say how every vehicle is; 1 where one doesn't run."""
    fleet = _fleet(arguments)
    rows = fleet.report(patience=arguments.wait)
    show(arguments.json, rows, _table(rows))
    ended = [row["name"] for row in rows if row["state"] == ENDED]
    for name in ended:
        print(f"bift: {fleet.end_of(name)}", file=sys.stderr)
    return 1 if ended else 0


@reporting(*FLEET_ERRORS)
def _logs(arguments: argparse.Namespace) -> None:
    """Print logs, with the vehicle's name before each line where there are several."""
    fleet = _fleet(arguments)
    alone = len(arguments.vehicle or fleet.record.vehicles) == 1
    for name, line in fleet.logs(arguments.vehicle, arguments.follow):
        print(line if alone else f"{name} | {line}", flush=arguments.follow)


@reporting(*FLEET_ERRORS)
def _down(arguments: argparse.Namespace) -> None:
    """End a fleet."""
    fleet = _fleet(arguments)
    fleet.down(arguments.keep_data)
    kept = f"; {fleet.folder.root} is kept" if arguments.keep_data else " and removed"
    print(f"The fleet {fleet.record.name} is down{kept}")


def _fleet(arguments: argparse.Namespace) -> Fleet:
    return Fleet(find(arguments.fleet, arguments.fleets))


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    numbers = ("height", "tip", "accuracy", "stake", "RSS MB")
    headings = ("vehicle", "state", *numbers)
    return table(None, headings, map(_cells, rows), right=numbers, rigid=headings)


def _cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    if row["tip"] is None:
        return row["name"], row["state"]
    said = (row["height"], row["tip"][:12], f"{row['accuracy']:.1%}", row["balance"], row["rss_mb"])
    return row["name"], row["state"], *said
