"""`./bift data share|get|list|withdraw`: any file for the fleet, such as a map tile."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from bift_ros.consensus.payloads import FILE_NAME
from bift_ros.consensus.sharing import shared_files
from bift_ros.consensus.state import State
from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.output import show, table
from bift_ros.console.own_vehicle import OwnVehicle, ask_vehicle, own_vehicle
from bift_ros.console.read_chain import add_folder_arguments, stored_state
from bift_ros.history.named_chain import utc
from bift_ros.identity.private_files import private_files
from bift_ros.peer.owner_requests import OwnerRequest
from bift_ros.storage.cid import CidError, check_cid_text
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.interface import StorageError


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    summary = "Put a file into a vehicle's storage, which serves it to the fleet; print its CID."
    share = parser.add_action("share", summary, _share)
    summary = "Write a file of the fleet to disk, fetched from the vehicles that have it."
    get = parser.add_action("get", summary, _get)
    summary = "Take a file off the list of those that this vehicle shares, and keep it no longer."
    withdraw = parser.add_action("withdraw", summary, _withdraw)
    for action in (share, get, withdraw):
        action.add_data()
        action.add_wait()
        action.add_json("print one JSON object, no progress")
    share.add_argument("file", type=Path, help="any file")
    share.add_argument("--announce", action="store_true", help="have the chain list it")
    share.add_argument("--name", help="that the list gives it (default: the file's own)")
    share.add_argument("--description", default="", help="what the list says of it")
    get.add_argument("cid", metavar="CID", help="as `bift data list` or `share` prints it")
    get.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: named by the CID")
    withdraw.add_argument("name", metavar="NAME", help="as in the list")
    summary = "Print the files that the fleet shares, by a vehicle's chain."
    add_folder_arguments(parser.add_action("list", summary, _list))


def _share(arguments: argparse.Namespace) -> None:
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
        with storage, reporting(StorageError, OSError), private_files():
            cid = storage.put_file(file)
            storage.pin(cid)
    show(arguments.json, {"cid": cid, "name": name, "announced": arguments.announce}, cid)
    if arguments.announce and not arguments.json:
        print(f"bift: {vehicle.name} tells the fleet of {name}", file=sys.stderr)


def _get(arguments: argparse.Namespace) -> None:
    with reporting(CidError):
        cid = check_cid_text(arguments.cid)
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
        with storage, reporting(StorageError, OSError):
            if not storage.has(cid):
                raise CommandError(
                    f"{cid} is not in {vehicle.name}'s storage: start the vehicle to fetch it "
                    "from others"
                )
            storage.get_file(cid, output)
    document = {"cid": cid, "file": str(output), "bytes": output.stat().st_size}
    show(arguments.json, document, str(output))


def _withdraw(arguments: argparse.Namespace) -> None:
    vehicle, name = own_vehicle(arguments.data), arguments.name
    request = OwnerRequest("withdraw", name=name)
    cid = ask_vehicle(vehicle, request, arguments.wait, f"Withdrawing {name}", arguments.json)
    document = {"cid": cid, "name": name}
    show(arguments.json, document, f"{vehicle.name} takes {name} off its list: {cid}")


def _list(arguments: argparse.Namespace) -> None:
    genesis, state = stored_state(arguments)
    files = _files(state)
    rows = (
        (
            file["name"],
            decimal(file["size"]),
            file["vehicle"],
            file["since"][:19].replace("T", " "),
            file["cid"],
            file["description"],
        )
        for file in files
    )
    headings = ("name", "size", "vehicle", "since (UTC)", "CID", "description")
    title = f"Files that {genesis.name} shares, at block {state.height}"
    document = {"height": state.height, "files": files}
    show(arguments.json, document, table(title, headings, rows, right=("size",)))


def _files(state: State) -> list[dict[str, Any]]:
    return [
        {
            "name": shared.file.name,
            "size": shared.file.size,
            "vehicle": state.members[address].name,
            "since": utc(shared.since),
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
