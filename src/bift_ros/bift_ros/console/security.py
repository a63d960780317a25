"""`./bift security`: certificates and permissions of DDS security for a fleet's vehicles."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.genesis import load_genesis
from bift_ros.console.arguments import Parser, positive, vehicle_name, whole
from bift_ros.console.errors import reporting
from bift_ros.console.output import show
from bift_ros.nodes.buses import Bus
from bift_ros.security.environment import secured_observer
from bift_ros.security.keystore import SecurityError, SecurityKeystore

_DAYS = 3650
Handler = Callable[[argparse.Namespace], None]


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    parser.epilog = "docs/security.md says what they are for."
    summary = "Make the keystore: an enclave for each member of a genesis, and one for observers."
    create = parser.add_action("create", summary, _create)
    create.add_argument("genesis", type=Path, metavar="GENESIS", help="the fleet's genesis file")
    create.add_argument(
        "--out", type=Path, default=Path("security"), metavar="KEYSTORE", help="(%(default)s)"
    )
    create.add_argument(
        "--domain",
        type=whole,
        metavar="N",
        help="ROS domain of a vehicle's own bus (ROS_DOMAIN_ID, or else 0)",
    )
    create.add_argument(
        "--fleet-domain",
        type=whole,
        metavar="N",
        help="that of the fleet's (BIFT_FLEET_DOMAIN_ID, or else the next one)",
    )
    summary = "Make the enclave of a vehicle that joins later; nobody else needs anything new."
    add = _of_keystore(parser, "add", summary, _add)
    summary = "Make certificates and permissions anew before they end; the keys stay."
    renew = _of_keystore(parser, "renew", summary, _renew)
    summary = "Have a vehicle's certificates hold no more; it needs an enclave made anew to return."
    revoke = _of_keystore(parser, "revoke", summary, _revoke)
    for action in (add, revoke):
        action.add_argument("vehicle", type=vehicle_name, metavar="NAME", help="the vehicle")
    for action in (create, add):
        action.add_argument(
            "--topic",
            action="append",
            default=[],
            metavar="NAME",
            help="of a camera or labels that have other names than by default; repeat for each",
        )
    for action in (create, add, renew):
        action.add_argument(
            "--days", type=positive, default=_DAYS, help="until they end (%(default)s)"
        )
    for action in (create, add, renew, revoke):
        action.add_json()


def _of_keystore(parser: Parser, name: str, summary: str, handler: Handler) -> Parser:
    action = parser.add_action(name, summary, handler)
    action.add_argument("keystore", type=Path, metavar="KEYSTORE", help="that `create` has made")
    return action


@reporting(ChainError, SecurityError, OSError)
def _create(arguments: argparse.Namespace) -> None:
    own, fleet = _domains(arguments.domain, arguments.fleet_domain)
    genesis = load_genesis(arguments.genesis)
    keystore = SecurityKeystore.create(
        arguments.out,
        {member.name: arguments.topic for member in genesis.members},
        own,
        fleet,
        days=arguments.days,
    )
    variables = secured_observer(str(keystore.folder.resolve()))
    _show(
        arguments,
        keystore,
        f"{keystore.folder}: {len(keystore.enclaves())} enclaves, for the ROS domains {own} and "
        f"{fleet}; keep {keystore.folder / 'private'} to yourself",
        "vehicles: give each its own folder of enclaves/vehicles, and start it with --security",
        "observers and the console:",
        *(f"  export {name}={value}" for name, value in variables.items()),
    )


@reporting(SecurityError)
def _add(arguments: argparse.Namespace) -> None:
    keystore = SecurityKeystore(arguments.keystore)
    path = keystore.add(arguments.vehicle, arguments.topic, days=arguments.days)
    _show(arguments, keystore, f"{keystore.place(path)}: for {arguments.vehicle}")


@reporting(SecurityError)
def _renew(arguments: argparse.Namespace) -> None:
    keystore = SecurityKeystore(arguments.keystore)
    keystore.renew(arguments.days)
    _show(arguments, keystore, "give each vehicle its folder of enclaves/ again, and start it anew")


@reporting(SecurityError)
def _revoke(arguments: argparse.Namespace) -> None:
    keystore = SecurityKeystore(arguments.keystore)
    keystore.revoke(arguments.vehicle)
    told = "give every other vehicle its folder of enclaves/ again, and start it anew"
    _show(arguments, keystore, f"{arguments.vehicle} is revoked: {told}")


def _domains(own: int | None, fleet: int | None) -> tuple[int, int]:
    """Those of the two buses. Raises BusError."""
    given = {Bus.OWN: own, Bus.FLEET: fleet}
    chosen = {bus.variable("DOMAIN_ID"): str(n) for bus, n in given.items() if n is not None}
    environment = {**os.environ, **chosen}
    first, second = (int(bus.ros_variables(environment)["ROS_DOMAIN_ID"]) for bus in given)
    return first, second


def _show(arguments: argparse.Namespace, keystore: SecurityKeystore, *lines: str) -> None:
    own, fleet = keystore.domains
    document = {
        "keystore": str(keystore.folder),
        "domain": own,
        "fleet_domain": fleet,
        "enclaves": keystore.enclaves(),
    }
    show(arguments.json, document, *lines)
