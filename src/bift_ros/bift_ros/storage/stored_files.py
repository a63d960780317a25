"""Reading what a vehicle stored, whether it runs or not, and whichever storage it used."""

from __future__ import annotations

import base64
from pathlib import Path

from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.interface import NotFound
from bift_ros.storage.reader import StoreReader
from bift_ros.storage.unixfs import read_file

_MULTIHASH_PREFIX = b"\x12\x20"


class StoredFiles:
    """A vehicle's files, from its block store or else its Kubo repository; changes neither."""

    def __init__(self, store: Path, repository: Path) -> None:
        self._store = StoreReader(store)
        self._repository = repository

    def get(self, cid: str) -> bytes:
        """Return a file. Raises `CidError`, `InvalidFile` or `NotFound`."""
        try:
            return self._store.get(cid)
        except NotFound:
            if not self._repository.is_dir():
                raise
        return read_file(Cid.parse(cid), self._block)

    def _block(self, cid: Cid) -> bytes:
        try:
            data = repository_block_file(self._repository, cid.digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"block {cid} is not in the repository {self._repository}") from None
        if not cid.matches(data):
            raise NotFound(f"block {cid} in the repository {self._repository} is damaged")
        return data


def repository_block_file(repository: Path, digest: bytes) -> Path:
    """Where Kubo's default datastore, flatfs, keeps the block of a SHA-256 digest.

    It writes each block whole under its name, as the embedded store does. The name is the
    multihash in base32, the folder its last characters but one (`next-to-last/2`).
    """
    name = base64.b32encode(_MULTIHASH_PREFIX + digest).decode().rstrip("=")
    return repository / "blocks" / name[-3:-1] / f"{name}.data"
