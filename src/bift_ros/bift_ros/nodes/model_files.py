"""The models and updates of one vehicle as files: in storage, and encrypted where they must be."""

from __future__ import annotations

from bift_ros.chain.state import State
from bift_ros.peer.machine import Peer
from bift_ros.storage.interface import Storage


class ModelFiles:
    """What the trainer reads and writes. Runs in the consensus thread, whose peer has the keys."""

    def __init__(self, storage: Storage, peer: Peer) -> None:
        self._storage, self._peer = storage, peer

    @property
    def state(self) -> State:
        """Where the chain stands now."""
        return self._peer.state

    def put(self, data: bytes, state: State) -> str:
        """Keep a model or update for good, under the key of `state`; the CID of its file.

        A training takes long, so `state` is that of its beginning: the key may be gone when it
        ends, until the members have another. Raises StorageError.
        """
        cid = self._storage.put(self._peer.encrypt(state, data))
        self._storage.pin(cid)
        return cid

    def get(self, cid: str) -> bytes:
        """What is in a file that is here; raises StorageError or ModelFileError."""
        return self._peer.decrypt(self._storage.get(cid))
