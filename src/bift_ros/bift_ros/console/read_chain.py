"""A chain to read: from a vehicle's data folder, or from a vehicle that is running."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.chain.verification import blocks_of, lowest_state, names_on, replay
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.genesis import Genesis, load_genesis
from bift_ros.consensus.state import State
from bift_ros.console.arguments import Parser, add_vehicle_arguments
from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.vehicles import running_vehicle
from bift_ros.history.blocks import summary_of
from bift_ros.history.named_chain import NamedChain
from bift_ros.nodes.client.vehicle_client import VehicleClient


def add_source_arguments(parser: Parser) -> None:
    """From where to read: a data folder or a running vehicle."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, help="a vehicle's data folder: read the chain there")
    add_vehicle_arguments(source, "is asked for its chain")
    _add_genesis_argument(parser)
    parser.add_wait()


def add_folder_arguments(parser: Parser) -> None:
    """In which data folder to read, and for whom to print."""
    parser.add_data()
    _add_genesis_argument(parser)
    parser.add_json()


def _add_genesis_argument(parser: Parser) -> None:
    parser.add_argument(
        "--genesis", type=Path, help="default: genesis.json in or beside the data folder"
    )


def read_chain(arguments: argparse.Namespace) -> NamedChain:
    """Read it whole. Raises CommandError."""
    if arguments.data is None:
        with running_vehicle(arguments) as (name, client):
            return chain_of(name, client)
    with open_chain(arguments) as (genesis, store, _):
        blocks = list(blocks_of(store))
        with reporting(ChainError):
            before = lowest_state(genesis, store)
        on_chain = {block.hash for block in blocks}
        side = [block for block in store.blocks() if block.hash not in on_chain]
        voted = any(summary_of(block).opponents for block in blocks)  # else it costs no replay
        cancelled = voted and state_of(genesis, store).task is None
    names = names_on(genesis, blocks, before.members.values())
    return NamedChain(genesis.name, genesis.hash, blocks, names, side, cancelled)


def chain_of(name: str, client: VehicleClient) -> NamedChain:
    """The chain of a running vehicle. Raises VehicleUnreachableError or ChainError."""
    state, blocks = client.state(), client.chain()
    title, cancelled = f"Chain of {name}", state.is_cancelled
    return NamedChain(title, state.genesis_hash, blocks, state.names, is_cancelled=cancelled)


@contextmanager
def open_chain(
    arguments: argparse.Namespace,
) -> Iterator[tuple[Genesis, ChainStore, VehicleFolders]]:
    """The chain in a data folder, open to be read. Raises CommandError."""
    data: Path = arguments.data
    folders = VehicleFolders(data)
    if not folders.chain.exists():
        raise CommandError(f"{data} holds no chain: --data takes a vehicle's data folder")
    near = (folder / "genesis.json" for folder in (data, data.parent))
    file = arguments.genesis or next(filter(Path.exists, near), None)
    if file is None:
        raise CommandError(f"no genesis.json in or beside {data}: give --genesis FILE")
    with reporting(ChainError):
        genesis = load_genesis(file)
        store = ChainStore(folders.chain, genesis, read_only=True)
    with closing(store):
        yield genesis, store, folders


def stored_state(arguments: argparse.Namespace) -> tuple[Genesis, State]:
    """The genesis of the chain in a data folder, and the state after its tip."""
    with open_chain(arguments) as (genesis, store, _):
        return genesis, state_of(genesis, store)


def state_of(genesis: Genesis, store: ChainStore) -> State:
    """The state after the tip, by every rule but PoFL, which says nothing of members or files.

    Raises CommandError.
    """
    try:
        return replay(genesis, store)
    except ChainError as error:
        raise CommandError(f"{error}; `bift chain verify` tells more") from error
