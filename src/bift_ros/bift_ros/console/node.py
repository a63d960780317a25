"""`./bift node run` and `./bift miner start`: one vehicle, without or with mining."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import yaml

from bift_ros.chain.exceptions import ChainError
from bift_ros.chain.genesis import load_genesis
from bift_ros.console.errors import CommandError
from bift_ros.identity.keyfile import KeyFileError, load_key
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
    action.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (auto)")
    action.add_argument("--no-train", action="store_true", help="only check (needs no torch)")
    action.add_argument("--propose", action="store_true", help="propose the task of the settings")
    action.add_argument("--params-file", type=Path, help="ROS parameters (YAML)")


def main(arguments: argparse.Namespace) -> int:
    """Become the vehicle's process."""
    try:
        genesis = load_genesis(arguments.genesis)
        passphrase = None
        if arguments.passphrase_file is not None:
            passphrase = arguments.passphrase_file.read_bytes().rstrip(b"\n")
        member = genesis.member(load_key(arguments.key, passphrase).address)
    except (ChainError, KeyFileError, OSError) as error:
        raise CommandError(str(error)) from error
    if member is None:
        raise CommandError(
            f"the key {arguments.key} is not a member of {arguments.genesis}: "
            "its public key (`bift account show`) must be in that file"
        )
    if not is_vehicle_name(member.name):
        raise CommandError(
            f"{arguments.genesis} names this vehicle {member.name!r}, which ROS takes for no "
            "namespace: it needs a genesis with letters, digits and underscores in names"
        )
    ros = ["-r", f"__ns:=/{member.name}"]
    if arguments.params_file is not None:
        ros += ["--params-file", str(arguments.params_file)]
    # The last file wins. `-p NODE:NAME:=VALUE` would not do: it finds no node in a namespace.
    ros += ["--params-file", str(_write_parameters(arguments, member.name))]
    command = [sys.executable, "-m", "bift_ros.nodes.vehicle", "--ros-args", *ros]
    sys.stdout.flush()
    os.execv(command[0], command)


def _write_parameters(arguments: argparse.Namespace, name: str) -> Path:
    """Write what the options say as ROS parameters into the data folder; give the file."""
    vehicle = {
        "data_dir": str(arguments.data.resolve()),
        "genesis_file": str(arguments.genesis.resolve()),
        "key_file": str(arguments.key.resolve()),
        "mine": arguments.mine,
        "train": not arguments.no_train,
        "propose": arguments.propose,
    }
    sections = {"vehicle": vehicle, "trainer": {"device": arguments.device}}
    if arguments.passphrase_file is not None:
        vehicle["passphrase_file"] = str(arguments.passphrase_file.resolve())
    if arguments.bag is not None:
        sections["camera_replay"] = {"bag": str(arguments.bag.resolve())}
    document = {f"/{name}/{node}": {"ros__parameters": p} for node, p in sections.items()}
    path: Path = arguments.data / "options.yaml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document, sort_keys=False))
    except OSError as error:
        raise CommandError(f"can't write to the data folder {arguments.data}: {error}") from error
    return path
