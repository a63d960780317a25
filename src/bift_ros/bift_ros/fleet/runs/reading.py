"""Reading a fleet's model files with the key of one of its vehicles."""

from __future__ import annotations

from pathlib import Path

from bift_ros.chain.keyring import Keyring
from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.chain.verification import replay
from bift_ros.consensus.genesis import Genesis
from bift_ros.fleet.runtimes.plan import key_file
from bift_ros.identity.keyfile import load_key


def keyring_of(folder: Path, genesis: Genesis) -> Keyring | None:
    """The keyring of the vehicle in `folder`, empty so far; None where nothing is encrypted."""
    if not genesis.policy.encrypt_models:
        return None
    return Keyring(load_key(key_file(folder), None), genesis.hash)


class ModelReader:
    """Decrypts what a vehicle can, by the chain in its folder as it is then."""

    def __init__(self, folder: Path, genesis: Genesis) -> None:
        self._folder, self._genesis = folder, genesis

    def decrypt(self, file: bytes) -> bytes:
        """What is in a model's file. Raises ModelFileError, StorageError or ChainError."""
        keyring = keyring_of(self._folder, self._genesis)
        if keyring is None:
            return file
        store = ChainStore(VehicleFolders(self._folder).chain, self._genesis, read_only=True)
        try:
            keyring.learn(replay(self._genesis, store))
        finally:
            store.close()
        return keyring.decrypt(file)
