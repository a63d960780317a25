"""`./bift data share|get|list|withdraw`: any file for the fleet, such as a map tile."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from bift_ros.consensus.payloads import FILE_NAME
from bift_ros.consensus.sharing import shared_files
from bift_ros.consensus.state import State
from bift_ros.console.arguments import add_wait_argument
from bift_ros.console.errors import CommandError
from bift_ros.console.own_vehicle import OwnVehicle, own_vehicle
from bift_ros.console.owner_jobs import ask_vehicle
from bift_ros.console.stored_chain import add_data_arguments, stored_state
from bift_ros.peer.owner_requests import OwnerRequest
from bift_ros.storage.cid import CidError, check_cid_text
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.interface import StorageError

_T = TypeVar("_T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = "Put a file into a vehicle's storage, which serves it to the fleet; print its CID."
    share = _action(actions, "share", summary)
    share.add_argument("file", type=Path, help="any file")
    share.add_argument("--announce", action="store_true", help="have the chain list it")
    share.add_argument("--name", help="that the list gives it (default: the file's own)")
    share.add_argument("--description", default="", help="what the list says of it")
    summary = "Write a file of the fleet to disk, fetched from the vehicles that have it."
    get = _action(actions, "get", summary)
    get.add_argument("cid", metavar="CID", help="as `bift data list` or `share` prints it")
    get.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: named by the CID")
    summary = "Take a file off the list of those that this vehicle shares, and keep it no longer."
    withdraw = _action(actions, "withdraw", summary)
    withdraw.add_argument("name", metavar="NAME", help="as in the list")
    summary = "Print the files that the fleet shares, by a vehicle's chain."
    add_data_arguments(actions.add_parser("list", help=summary, description=summary))


def _action(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=summary, description=summary)
    action.add_argument("--data", type=Path, required=True, help="the vehicle's data folder")
    add_wait_argument(action)
    action.add_argument("--json", action="store_true", help="print one JSON object, no progress")
    return action


def main(arguments: argparse.Namespace) -> int:
    """Share, get, withdraw or list."""
    actions = {"share": _share, "get": _get, "withdraw": _withdraw, "list": _list}
    return actions[arguments.action](arguments)


def _share(arguments: argparse.Namespace) -> int:
    vehicle, file = own_vehicle(arguments.data), arguments.file.absolute()
    name = arguments.name or file.name
    if not file.is_file():
        raise CommandError(f"{arguments.file} is no file")
    request = OwnerRequest("share", str(file))
    if arguments.announce:
        if not FILE_NAME.fullmatch(name):
            raise CommandError(
                f"the list takes no file name {name!r:.110}: give --name with letters, digits, "
                "'.', '_' and '-', at most 100"
            )
        request = OwnerRequest("share", str(file), name=name, description=arguments.description)
    storage = _closed_storage(vehicle)
    if storage is None:
        cid = ask_vehicle(vehicle, request, arguments.wait, f"Sharing {name}", arguments.json)
    elif arguments.announce:
        storage.close()
        raise CommandError(f"{vehicle.name} does not run: start it to announce the file")
    else:
        with storage:
            cid = _offline(lambda: storage.put_file(file))
            _offline(lambda: storage.pin(cid))
    if arguments.json:
        print(json.dumps({"cid": cid, "name": name, "announced": arguments.announce}))
        return 0
    print(cid)
    if arguments.announce:
        print(f"bift: {vehicle.name} tells the fleet of {name}", file=sys.stderr)
    return 0


def _get(arguments: argparse.Namespace) -> int:
    try:
        cid = check_cid_text(arguments.cid)
    except CidError as error:
        raise CommandError(str(error)) from error
    output = (arguments.output or Path(cid)).absolute()
    if output.exists():
        raise CommandError(f"{output} exists: give another name with -o, or move it away")
    if not output.parent.is_dir():
        raise CommandError(f"{output.parent} is no folder")
    vehicle = own_vehicle(arguments.data)
    storage = _closed_storage(vehicle)
    if storage is None:
        request = OwnerRequest("fetch", str(output), cid)
        ask_vehicle(vehicle, request, arguments.wait, f"Fetching {cid[:16]}…", arguments.json)
    else:
        with storage:
            if not storage.has(cid):
                raise CommandError(
                    f"{cid} is not in {vehicle.name}'s storage: start the vehicle to fetch it "
                    "from others"
                )
            _offline(lambda: storage.get_file(cid, output))
    if arguments.json:
        print(json.dumps({"cid": cid, "file": str(output), "bytes": output.stat().st_size}))
    else:
        print(output)
    return 0


def _withdraw(arguments: argparse.Namespace) -> int:
    vehicle, name = own_vehicle(arguments.data), arguments.name
    request = OwnerRequest("withdraw", name=name)
    cid = ask_vehicle(vehicle, request, arguments.wait, f"Withdrawing {name}", arguments.json)
    if arguments.json:
        print(json.dumps({"cid": cid, "name": name}))
        return 0
    print(f"{vehicle.name} takes {name} off its list: {cid}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    genesis, state = stored_state(arguments)
    files = _files(state)
    if arguments.json:
        print(json.dumps({"height": state.height, "files": files}))
        return 0
    title = f"Files that {genesis.name} shares, at block {state.height}"
    table = Table(title=title, title_justify="left")
    table.add_column("name", overflow="fold")
    table.add_column("size", justify="right")
    for heading in ("vehicle", "since (UTC)", "CID", "description"):
        table.add_column(heading, overflow="fold")
    for file in files:
        table.add_row(
            file["name"],
            decimal(file["size"]),
            file["vehicle"],
            file["since"][:19].replace("T", " "),
            file["cid"],
            file["description"],
        )
    Console().print(table)
    return 0


def _files(state: State) -> list[dict[str, Any]]:
    return [
        {
            "name": shared.file.name,
            "size": shared.file.size,
            "vehicle": state.members[address].name,
            "since": datetime.fromtimestamp(shared.since / 1000, timezone.utc).isoformat(
                timespec="milliseconds"
            ),
            "cid": shared.file.cid,
            "description": shared.file.description,
        }
        for address, shared in shared_files(state)
    ]


def _closed_storage(vehicle: OwnVehicle) -> EmbeddedStorage | None:
    """The storage of a vehicle that does not run; None where it can only be had through it."""
    if vehicle.settings["storage"] != "embedded":
        return None
    try:
        limit = vehicle.settings["storage_mb"] << 20
        return EmbeddedStorage(vehicle.folders.storage, max_bytes=limit)
    except StorageError:
        return None


def _offline(work: Callable[[], _T]) -> _T:
    try:
        return work()
    except (StorageError, OSError) as error:
        raise CommandError(str(error)) from error
