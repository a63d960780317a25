"""Mining of vehicles that are running: their owner starts and stops it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace

from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.keys import key_file, unlock
from bift_ros.console.vehicles import asking
from bift_ros.identity.keyfile import KeyFileError, is_encrypted
from bift_ros.identity.keys import KeyPair
from bift_ros.identity.keystore import Keystore
from bift_ros.nodes.client.vehicle_client import NOBODY_HEARD, VehicleClient
from bift_ros.nodes.observer.monitor import listen
from bift_ros.peer.owner_requests import START_MINING, STOP_MINING, OwnerRequest


def set_mining(arguments: argparse.Namespace, mine: bool) -> None:
    """Have the vehicles that `--on` names mine from now on, or not; all of the owner's if none."""
    names, action = arguments.on or [], START_MINING if mine else STOP_MINING
    # Who stops vehicles is to know whether others go on: that takes hearing everybody.
    alone = mine and bool(names)
    heard = listen(arguments.wait, lambda all_: alone and all(all_.get(n) for n in names))
    if not heard:
        raise CommandError(NOBODY_HEARD)
    silent = sorted(set(names) - set(heard))
    if silent:
        raise CommandError(f"not heard: {', '.join(silent)}; running are {', '.join(heard)}")
    addresses = {name: heard[name].address for name in names or heard}
    for name, key in _owned(arguments, addresses, bool(names)).items():
        with asking(), VehicleClient(name, arguments.wait) as client:
            genesis_hash = client.state().genesis_hash
            job = client.owner_job(key, genesis_hash, OwnerRequest(action))
        if job.error:
            raise CommandError(f"{name}: {job.error}")
        heard[name] = replace(heard[name], mines=mine)
        if not arguments.json:
            print(f"{name} {'mines' if mine else 'mines no more'}")
    mining = [name for name, status in heard.items() if status.mines]
    if arguments.json:
        print(json.dumps({"mining": mining, "idle": sorted(set(heard) - set(mining))}))
    if not mine and not mining:
        print(
            "bift: none of the vehicles heard mines now: no block will be made until one does",
            file=sys.stderr,
        )


def _owned(
    arguments: argparse.Namespace, addresses: dict[str, str], named: bool
) -> dict[str, KeyPair]:
    """The keys of those vehicles whose owner this is; of all, where they were `named`."""
    keystore = Keystore(arguments.keystore)
    with reporting(KeyFileError):
        if arguments.key is not None:
            files = [key_file(arguments.key, keystore)]
        else:
            files = [a.file for a in keystore.accounts() if a.address in addresses.values()]
        unlocked = [
            # One file opens those accounts that are locked; others may be among them.
            unlock(file, arguments.passphrase_file if is_encrypted(file) else None)
            for file in files
        ]
    keys = {key.address: key for key in unlocked}
    owned = {name: keys[address] for name, address in addresses.items() if address in keys}
    foreign = sorted(set(addresses) - set(owned))
    if (named and foreign) or not owned:
        where = arguments.key or keystore.folder
        raise CommandError(
            f"only its owner may have a vehicle mine or not, and {where} has no key of "
            f"{', '.join(foreign)}: give --key"
        )
    return owned
