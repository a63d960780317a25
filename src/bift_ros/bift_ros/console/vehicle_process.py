"""Becoming a vehicle's process: `./bift node run` and `./bift miner start`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from bift_ros.attacks.registry import ATTACKS
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.genesis import Genesis, load_genesis
from bift_ros.console.arguments import whole
from bift_ros.console.defence import check_miner, rule_for
from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.keys import add_key_arguments, key_file
from bift_ros.fleet.runtimes.dds_security import refuse_without_security
from bift_ros.fleet.runtimes.parameter_file import write_parameters
from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.identity.keyfile import KeyFileError, is_encrypted, unlock_key
from bift_ros.identity.keystore import Keystore
from bift_ros.identity.private_files import make_private_folder, private_files
from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.security.environment import secured
from bift_ros.security.rights import vehicle_path


def add_process_arguments(action: argparse.ArgumentParser, required: bool = True) -> None:
    """What a vehicle's process needs to know."""
    action.add_argument("--genesis", type=Path, required=required, help="the fleet's genesis file")
    add_key_arguments(action, "the vehicle's", required)
    action.add_argument("--data", type=Path, required=required, help="folder for chain and dataset")
    action.add_argument("--bag", type=Path, help="replay this rosbag2 as the vehicle's camera")
    device = action.add_mutually_exclusive_group()
    device.add_argument("--device", help="where to train: auto, cpu, cuda or cuda:N")
    device.add_argument(
        "--gpu", type=whole, metavar="N", help="train on GPU number N, from 0: --device cuda:N"
    )
    action.add_argument(
        "--malicious", metavar="ATTACK", choices=ATTACKS, help=f"attack: {', '.join(ATTACKS)}"
    )
    action.add_argument("--no-train", action="store_true", help="only check (needs no torch)")
    action.add_argument("--propose", action="store_true", help="propose the task of the settings")
    action.add_argument("--name", help="of a vehicle that is to join by the members' vote")
    action.add_argument("--params-file", type=Path, help="ROS parameters (YAML)")
    action.add_argument(
        "--security",
        type=Path,
        metavar="KEYSTORE",
        help="use DDS security, with the vehicle's enclave of this keystore",
    )


def run(arguments: argparse.Namespace, *, mine: bool, defend: bool | None = None) -> None:
    """Become the vehicle's process; `defend` is what a miner wants of the aggregation."""
    key = key_file(arguments.key, Keystore(arguments.keystore))
    with reporting(ChainError, KeyFileError, OSError):
        genesis = load_genesis(arguments.genesis)
        if arguments.passphrase_file is None and is_encrypted(key):
            raise CommandError(f"{key} is encrypted: give --passphrase-file, a vehicle asks nobody")
        member = genesis.member(unlock_key(key, arguments.passphrase_file).address)
    if member is None and arguments.name is None:
        raise CommandError(
            f"the key {key} is not a member of {arguments.genesis}: its public key "
            "(`bift account show`) must be in that file; to join a running fleet by its members' "
            "vote, give --name NAME"
        )
    name = member.name if member is not None else arguments.name
    if not is_vehicle_name(name):
        raise CommandError(
            f"the vehicle's name {name!r} is no ROS namespace: it needs letters, digits and "
            "underscores"
        )
    if not arguments.propose:
        check_miner(defend, genesis.policy.rule)
    ros = ["-r", f"__ns:=/{name}"]
    if arguments.security is not None:
        ros += ["--enclave", _secure(arguments.security, name)]
    if arguments.params_file is not None:
        ros += ["--params-file", str(arguments.params_file)]
    # A file and not -p: it says which node each setting is for, and comes after the user's own.
    settings = arguments.data / "parameters.yaml"
    with reporting(OSError), private_files():
        make_private_folder(arguments.data)
        write_parameters(settings, name, _parameters(arguments, genesis, key, mine, defend))
    ros += ["--params-file", str(settings)]
    command = [sys.executable, "-m", "bift_ros.nodes.vehicle.process", "--ros-args", *ros]
    sys.stdout.flush()
    os.execv(command[0], command)


def _secure(keystore: Path, name: str) -> str:
    """Turn DDS security on for this process; the vehicle's enclave."""
    enclave = vehicle_path(name)
    if not (keystore / "enclaves" / enclave[1:] / "key.pem").is_file():
        raise CommandError(
            f"{keystore} has no enclave of {name}, enclaves{enclave}: `bift security create` and "
            "`add` make them"
        )
    with reporting(FleetError):
        refuse_without_security()
    os.environ.update(secured(str(keystore.resolve())))
    return enclave


def _parameters(
    arguments: argparse.Namespace, genesis: Genesis, key: Path, mine: bool, defend: bool | None
) -> dict[str, dict[str, Any]]:
    vehicle = {
        "data_dir": str(arguments.data.resolve()),
        "genesis_file": str(arguments.genesis.resolve()),
        "key_file": str(key.resolve()),
        "mine": mine,
        "train": not arguments.no_train,
        "propose": arguments.propose,
    }
    if defend is not None:
        vehicle["task.rule"] = rule_for(defend, genesis.policy.rule)
    if arguments.malicious is not None:
        vehicle["malicious"] = arguments.malicious
    if arguments.passphrase_file is not None:
        vehicle["passphrase_file"] = str(arguments.passphrase_file.resolve())
    nodes: dict[str, dict[str, Any]] = {"vehicle": vehicle}
    device = arguments.device if arguments.gpu is None else f"cuda:{arguments.gpu}"
    if device is not None:
        nodes["trainer"] = {"device": device}
    if arguments.bag is not None:
        nodes["camera_replay"] = {"bag": str(arguments.bag.resolve())}
    return nodes
