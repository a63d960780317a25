"""`./bift node run` and `./bift miner start`: one vehicle, without or with mining."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from bift_ros.attacks.registry import ATTACKS
from bift_ros.chain.exceptions import ChainError
from bift_ros.chain.genesis import load_genesis
from bift_ros.console.errors import CommandError
from bift_ros.fleet.plan import write_parameters
from bift_ros.identity.keyfile import KeyFileError, load_key, read_passphrase
from bift_ros.nodes.names import is_vehicle_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One action, `run` of node and `start` of miner, with the same options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    mines = parser.prog.endswith("miner")
    name = "start" if mines else "run"
    summary = (
        "Run a vehicle that perceives, trains, checks blocks"
        + (" and mines them." if mines else ", and never mines.")
        + " Ctrl-C stops it; it resumes from its data folder."
    )
    action = actions.add_parser(
        name,
        help=summary,
        description=summary,
        epilog="All other settings are ROS parameters: see config/vehicle.yaml and --params-file.",
    )
    action.set_defaults(mine=mines)
    action.add_argument("--genesis", type=Path, required=True, help="the fleet's genesis file")
    action.add_argument("--key", type=Path, required=True, help="this vehicle's key file")
    action.add_argument("--passphrase-file", type=Path, help="for an encrypted key")
    action.add_argument("--data", type=Path, required=True, help="folder for chain and dataset")
    action.add_argument("--bag", type=Path, help="replay this rosbag2 as the vehicle's camera")
    action.add_argument("--device", help="auto, cpu, cuda or cuda:N")
    action.add_argument(
        "--malicious", metavar="NAME", choices=ATTACKS, help=f"attack: {', '.join(ATTACKS)}"
    )
    action.add_argument("--no-train", action="store_true", help="only check (needs no torch)")
    action.add_argument("--propose", action="store_true", help="propose the task of the settings")
    action.add_argument("--name", help="of a vehicle that is to join by the members' vote")
    action.add_argument("--params-file", type=Path, help="ROS parameters (YAML)")


def main(arguments: argparse.Namespace) -> int:
    """Become the vehicle's process."""
    try:
        genesis = load_genesis(arguments.genesis)
        passphrase = None
        if arguments.passphrase_file is not None:
            passphrase = read_passphrase(arguments.passphrase_file)
        member = genesis.member(load_key(arguments.key, passphrase).address)
    except (ChainError, KeyFileError, OSError) as error:
        raise CommandError(str(error)) from error
    if member is None and arguments.name is None:
        raise CommandError(
            f"the key {arguments.key} is not a member of {arguments.genesis}: its public key "
            "(`bift account show`) must be in that file; to join a running fleet by its members' "
            "vote, give --name NAME"
        )
    name = member.name if member is not None else arguments.name
    if not is_vehicle_name(name):
        raise CommandError(
            f"the vehicle's name {name!r} is no ROS namespace: it needs letters, digits and "
            "underscores"
        )
    ros = ["-r", f"__ns:=/{name}"]
    if arguments.params_file is not None:
        ros += ["--params-file", str(arguments.params_file)]
    # A file and not -p: it says which node each setting is for, and comes after the user's own.
    settings = arguments.data / "parameters.yaml"
    try:
        arguments.data.mkdir(parents=True, exist_ok=True)
        write_parameters(settings, name, _parameters(arguments))
    except OSError as error:
        raise CommandError(str(error)) from error
    ros += ["--params-file", str(settings)]
    command = [sys.executable, "-m", "bift_ros.nodes.vehicle", "--ros-args", *ros]
    sys.stdout.flush()
    os.execv(command[0], command)


def _parameters(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    vehicle = {
        "data_dir": str(arguments.data.resolve()),
        "genesis_file": str(arguments.genesis.resolve()),
        "key_file": str(arguments.key.resolve()),
        "mine": arguments.mine,
        "train": not arguments.no_train,
        "propose": arguments.propose,
    }
    if arguments.malicious is not None:
        vehicle["malicious"] = arguments.malicious
    if arguments.passphrase_file is not None:
        vehicle["passphrase_file"] = str(arguments.passphrase_file.resolve())
    nodes: dict[str, dict[str, Any]] = {"vehicle": vehicle}
    if arguments.device is not None:
        nodes["trainer"] = {"device": arguments.device}
    if arguments.bag is not None:
        nodes["camera_replay"] = {"bag": str(arguments.bag.resolve())}
    return nodes
