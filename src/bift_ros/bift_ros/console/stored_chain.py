"""A vehicle's chain as its data folder holds it, for the commands that read it."""

from __future__ import annotations

import argparse
from pathlib import Path

from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.chain.verification import replay
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.genesis import Genesis, load_genesis
from bift_ros.consensus.state import State
from bift_ros.console.errors import CommandError


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the chain lies, and for whom to print."""
    parser.add_argument("--data", type=Path, required=True, help="the vehicle's data folder")
    add_genesis_argument(parser)
    parser.add_argument("--json", action="store_true", help="for machines")


def add_genesis_argument(parser: argparse.ArgumentParser) -> None:
    """Where the genesis of the chain lies."""
    parser.add_argument(
        "--genesis", type=Path, help="default: genesis.json in or beside the data folder"
    )


def open_chain(arguments: argparse.Namespace) -> tuple[Genesis, ChainStore, VehicleFolders]:
    """Open the chain to read it; the caller closes the store. Raises CommandError."""
    folders = VehicleFolders(arguments.data)
    if not folders.chain.exists():
        raise CommandError(f"{arguments.data} holds no chain: --data takes a vehicle's data folder")
    try:
        genesis = load_genesis(arguments.genesis or _find_genesis(arguments.data))
        return genesis, ChainStore(folders.chain, genesis, read_only=True), folders
    except ChainError as error:
        raise CommandError(str(error)) from error


def height_of(store: ChainStore) -> int:
    """The height of the chain's tip."""
    header = store.header(store.tip)
    return header.height if header is not None else 0


def stored_state(arguments: argparse.Namespace) -> tuple[Genesis, State]:
    """Open the chain that the options name for its genesis and the state after its tip."""
    genesis, store, _ = open_chain(arguments)
    try:
        return genesis, state_of(genesis, store)
    finally:
        store.close()


def state_of(genesis: Genesis, store: ChainStore) -> State:
    """The state after the tip, by every rule but PoFL, which says nothing of members or files.

    Raises CommandError.
    """
    try:
        return replay(genesis, store)
    except ChainError as error:
        raise CommandError(f"{error}; `bift chain verify` tells more") from error


def _find_genesis(data: Path) -> Path:
    for folder in (data, data.parent):
        if (folder / "genesis.json").exists():
            return folder / "genesis.json"
    raise CommandError(f"no genesis.json in or beside {data}: give --genesis FILE")
