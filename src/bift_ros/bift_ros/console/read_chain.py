"""A chain to look at: from a vehicle's data folder, or from a vehicle that is running."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from bift_ros.chain.verification import blocks_of, names_on
from bift_ros.consensus.blocks import Block
from bift_ros.console.arguments import add_vehicle_arguments, add_wait_argument
from bift_ros.console.stored_chain import add_genesis_argument, open_chain
from bift_ros.console.vehicles import running_vehicle
from bift_ros.history.blocks import summary_of
from bift_ros.history.iterations import Task, tasks_of
from bift_ros.nodes.client.vehicle_client import VehicleClient


@dataclass(frozen=True)
class LoadedChain:
    """Blocks, and what people call those who speak in them."""

    title: str
    """The genesis' name, or whose chain it is."""
    genesis: bytes
    """Its hash."""
    blocks: Sequence[Block]
    """From block 1 to the tip."""
    names: dict[str, str]
    """Address → name, of everybody who is, was or is proposed as a member."""
    side: Sequence[Block] = ()
    """Blocks of other branches, lowest first; only a data folder tells of them."""

    def name(self, address: str) -> str:
        """What people call the owner of an address."""
        return self.names.get(address, address)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """All that were proposed, in order."""
        return tuple(tasks_of(map(summary_of, self.blocks)))

    @cached_property
    def contributions(self) -> dict[int, dict[str, list[str]]]:
        """Height of a model block → names: who contributed, and who did not and why."""
        return {
            iteration.block.height: {
                "contributors": [self.name(a) for a in iteration.model.contributors],
                "left_out": [self.name(a) for a in iteration.left_out],
                "not_revealed": [self.name(a) for a in iteration.not_revealed],
            }
            for task in self.tasks
            for iteration in task.iterations
        }


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """From where to read."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, help="a vehicle's data folder: read the chain there")
    add_vehicle_arguments(source, "is asked for its chain")
    add_genesis_argument(parser)
    add_wait_argument(parser)


def read_chain(arguments: argparse.Namespace) -> LoadedChain:
    """Read it whole. Raises CommandError."""
    return _from_folder(arguments) if arguments.data is not None else _from_vehicle(arguments)


def _from_folder(arguments: argparse.Namespace) -> LoadedChain:
    genesis, store, _ = open_chain(arguments)
    try:
        blocks = list(blocks_of(store))
        on_chain = {block.hash for block in blocks}
        side = [block for block in store.blocks() if block.hash not in on_chain]
    finally:
        store.close()
    return LoadedChain(genesis.name, genesis.hash, blocks, names_on(genesis, blocks), side)


def _from_vehicle(arguments: argparse.Namespace) -> LoadedChain:
    with running_vehicle(arguments) as (name, client):
        return chain_of(name, client)


def chain_of(name: str, client: VehicleClient) -> LoadedChain:
    """The chain of a running vehicle. Raises VehicleUnreachableError or ChainError."""
    state = client.state()
    return LoadedChain(f"Chain of {name}", state.genesis_hash, client.chain(), state.names)


def utc(milliseconds: int) -> str:
    """A time of the chain as ISO 8601."""
    moment = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return moment.isoformat(timespec="milliseconds")
