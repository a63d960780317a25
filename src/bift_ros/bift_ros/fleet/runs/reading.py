"""What a vehicle keeps on disk, whether it runs, was stopped or was killed."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bift_ros.chain.keyring import Keyring
from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.chain.verification import Verification, blocks_of, replay, verify_stored
from bift_ros.consensus.genesis import Genesis
from bift_ros.fleet.runtimes.folder import key_file
from bift_ros.identity.keyfile import load_key
from bift_ros.storage.stored_files import StoredFiles


@dataclass(frozen=True)
class ChainOnDisk:
    """A look into a chain database."""

    height: int
    missing: tuple[bytes, ...]
    """Those of the blocks asked for that are not in it."""


def look(folder: Path, genesis: Genesis, wanted: Collection[bytes] = ()) -> ChainOnDisk:
    """Read the chain of the vehicle in `folder`; every row is checked.

    Raises StoreError where it is damaged, or was written to at the same moment.
    """
    path = VehicleFolders(folder).chain
    if not path.exists():
        return ChainOnDisk(0, tuple(h for h in wanted if h != genesis.hash))
    with closing(ChainStore(path, genesis, read_only=True)) as store:
        height = max((block.header.height for block in blocks_of(store)), default=store.base.height)
        return ChainOnDisk(height, tuple(h for h in wanted if not store.has(h)))


def keyring_of(settings: Path, genesis: Genesis) -> Keyring | None:
    """The keyring of the vehicle whose key lies in `settings`; None where nothing is encrypted."""
    if not genesis.policy.encrypt_models:
        return None
    return Keyring(load_key(key_file(settings), None), genesis.hash)


def read_model(cid: str, folder: Path, genesis: Genesis, settings: Path | None = None) -> bytes:
    """A model of a vehicle's store, decrypted by its chain as it is now.

    `settings` is where the vehicle's key lies if not in its `folder`, as with containers. Raises
    StorageError, ModelFileError, KeyFileError or ChainError.
    """
    folders = VehicleFolders(folder)
    file = StoredFiles(folders.storage, folders.kubo).get(cid)
    keyring = keyring_of(settings or folder, genesis)
    if keyring is None:
        return file
    with closing(ChainStore(folders.chain, genesis, read_only=True)) as store:
        keyring.learn(replay(genesis, store))
    return keyring.decrypt(file)


def outcome_of(folder: Path, genesis: Genesis, settings: Path | None = None) -> Verification:
    """Recompute every block of a stopped vehicle's chain from its stored updates.

    `settings` is as in `read_model`. Raises ChainError or KeyFileError.
    """
    return verify_stored(VehicleFolders(folder), genesis, keyring_of(settings or folder, genesis))
