"""`./bift system show`: the vehicles that are running now."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import NoReturn, TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bift_ros.console.arguments import Parser, seconds, vehicle_name
from bift_ros.fleet.runs.display import equivocation_table, vehicle_table
from bift_ros.monitoring.findings import SILENT_SECONDS
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.monitoring.status_json import status_json
from bift_ros.nodes.observer.monitor import FleetMonitor

_Told = TypeVar("_Told")

_REFRESH_SECONDS = 0.5
_GRACE_SECONDS = 3.0
"""From a vehicle's tip to its status, at most."""


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    show = parser.add_action(
        "show",
        "Show every running vehicle's state, chain and stake, as it says itself over DDS.",
        _show,
        epilog="Vehicles are found by ROS_DOMAIN_ID and BIFT_FLEET_DOMAIN_ID. Of one on another "
        "computer there is its tip alone.",
    )
    show.add_argument("--vehicle", type=vehicle_name, metavar="NAME", help="this one alone")
    show.add_argument(
        "--wait",
        type=seconds,
        default=3.0,
        metavar="SECONDS",
        help="listen this long (%(default)g)",
    )
    show.add_argument(
        "--expect", type=int, default=0, metavar="N", help="stop listening once N are heard"
    )
    show.add_argument("--watch", action="store_true", help="go on until Ctrl-C")
    show.add_json("one object a vehicle, as a list; with --watch one a line, as they come")


def _show(arguments: argparse.Namespace) -> int:
    """Listen, then print; 1 where nobody was heard."""
    if arguments.watch:
        return _watch(arguments)
    only, expected = arguments.vehicle, 1 if arguments.vehicle else arguments.expect
    with closing(FleetMonitor()) as monitor:
        monitor.wait(lambda heard: 0 < expected <= len(_chosen(heard, only)), arguments.wait)
        # Who is elsewhere never speaks here; who isn't may be about to.
        monitor.wait(lambda heard: all(_chosen(heard, only).values()), _GRACE_SECONDS)
        vehicles = _chosen(monitor.told, only)
    if arguments.json:
        print(json.dumps([status_json(status) for status in vehicles.values()], allow_nan=False))
    elif vehicles:
        Console().print(_display(vehicles))
    if not vehicles:
        who = f"{only} was not" if only else "no vehicle was"
        print(f"bift: {who} heard; is one running in this ROS_DOMAIN_ID?", file=sys.stderr)
        return 1
    return 0


def _chosen(heard: Mapping[str, _Told], only: str | None) -> Mapping[str, _Told]:
    """Those that are wanted."""
    return {name: status for name, status in heard.items() if only in (None, name)}


def _watch(arguments: argparse.Namespace) -> int:
    """Show what comes until a person has seen enough, which is how a watch ends well."""
    came: SimpleQueue[VehicleStatus] = SimpleQueue()
    monitor = FleetMonitor(came.put)
    try:
        (_watch_json if arguments.json else _watch_table)(came, arguments.vehicle)
    except KeyboardInterrupt:
        return 0
    finally:
        monitor.close()


def _watch_json(came: SimpleQueue[VehicleStatus], only: str | None) -> NoReturn:
    while True:
        status = came.get()
        if only in (None, status.name):
            print(json.dumps(status_json(status), allow_nan=False), flush=True)


def _watch_table(came: SimpleQueue[VehicleStatus], only: str | None) -> NoReturn:
    vehicles: dict[str, VehicleStatus] = {}
    heard_at: dict[str, float] = {}
    with Live(Text("listening …"), auto_refresh=False) as live:
        while True:
            for status in _waiting(came):
                if only in (None, status.name):
                    vehicles[status.name] = status
                    heard_at[status.name] = time.monotonic()
            if vehicles:
                marked = mark_silent(dict(sorted(vehicles.items())), heard_at, time.monotonic())
                live.update(_display(marked), refresh=True)


def _waiting(came: SimpleQueue[VehicleStatus]) -> Iterable[VehicleStatus]:
    """What comes until the next refresh is due."""
    until = time.monotonic() + _REFRESH_SECONDS
    while (left := until - time.monotonic()) > 0:
        try:
            yield came.get(timeout=left)
        except Empty:
            return


def mark_silent(
    vehicles: Mapping[str, VehicleStatus], heard_at: Mapping[str, float], now: float
) -> Mapping[str, VehicleStatus]:
    """Say of those that have not spoken for a while that they are silent; times in seconds."""
    marked = dict(vehicles)
    for name, status in vehicles.items():
        silent = now - heard_at[name]
        if silent > SILENT_SECONDS:
            marked[name] = replace(status, state=f"silent for {silent:.0f} s")
    return marked


def _display(vehicles: Mapping[str, VehicleStatus]) -> RenderableType:
    parts: list[RenderableType] = [vehicle_table(vehicles)]
    task = task_line(vehicles)
    if task:
        parts.append(Text(task))
    equivocations = equivocation_table(vehicles)
    if equivocations is not None:
        parts.append(equivocations)
    return Group(*parts)


def task_line(vehicles: Mapping[str, VehicleStatus]) -> str:
    """How far the fleet's task is, by the vehicle with the highest tip; empty without a task."""
    task = max(vehicles.values(), key=lambda status: status.chain.height).task
    if not task.model_id:
        return ""
    line = f"{task.model_id}: iteration {task.current_iter}/{task.total_iter}"
    if task.current_iter:
        line += f", accuracy {task.accuracy:.1%}, by {task.rule}"
    if task.cancelled:
        line += ", cancelled by the members"
    return line
