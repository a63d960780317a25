"""The models and updates of one vehicle as files: in storage, and encrypted where they must be."""

from __future__ import annotations

from bift_ros.consensus.state import State
from bift_ros.peer.machine import Peer
from bift_ros.storage.interface import Storage


class ModelFiles:
    """What the trainer reads and writes.

    The peer has the keys: `encrypt` and `decrypt` are for the consensus thread, the storage's own
    `keep` and `read` for any.
    """

    def __init__(self, storage: Storage, peer: Peer) -> None:
        self._storage, self._peer = storage, peer

    @property
    def state(self) -> State:
        """Where the chain stands now."""
        return self._peer.state

    def encrypt(self, data: bytes, state: State) -> bytes:
        """Give the file of a model or update under the key of `state`.

        A training takes long, so `state` is that of its beginning: the key may be gone when it
        ends, until the members have another. Raises StorageError.
        """
        return self._peer.encrypt(state, data)

    def decrypt(self, file: bytes) -> bytes:
        """Give what is in a file; raises StorageError or ModelFileError."""
        return self._peer.decrypt(file)

    def keep(self, file: bytes) -> str:
        """Keep a file for good; its CID. Raises StorageError."""
        cid = self._storage.put(file)
        self._storage.pin(cid)
        return cid

    def read(self, cid: str) -> bytes:
        """Give a file that is here; raises StorageError."""
        return self._storage.get(cid)
