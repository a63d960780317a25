"""What a vehicle's chain on disk holds, whether the vehicle runs, was stopped or was killed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.chain.verification import blocks_of
from bift_ros.consensus.genesis import Genesis


@dataclass(frozen=True)
class ChainOnDisk:
    """A look into a chain database."""

    height: int
    iterations: int
    """Iterations that the chain's blocks have finished."""
    missing: tuple[bytes, ...]
    """Those of the blocks asked for that are not in it."""


def look(folder: Path, genesis: Genesis, wanted: Collection[bytes] = ()) -> ChainOnDisk:
    """Read the chain of the vehicle in `folder`; every row is checked.

    Raises StoreError where it is damaged, or was written to at the same moment.
    """
    path = VehicleFolders(folder).chain
    if not path.exists():
        return ChainOnDisk(0, 0, tuple(h for h in wanted if h != genesis.hash))
    store = ChainStore(path, genesis, read_only=True)
    try:
        height = iterations = 0
        for block in blocks_of(store):
            height = block.header.height
            if block.body.model_info is not None:
                iterations = max(iterations, block.body.model_info.current_iter)
        return ChainOnDisk(height, iterations, tuple(h for h in wanted if not store.has(h)))
    finally:
        store.close()
