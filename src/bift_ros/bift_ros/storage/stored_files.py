"""Reading what a vehicle stored, whether it runs or not, and whichever storage it used."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from bift_ros.storage.cidv1 import MULTIHASH_PREFIX, RAW, Cid
from bift_ros.storage.errors import NotFound
from bift_ros.storage.node_log import read_node_log, stored_chunks
from bift_ros.storage.unixfs import MAX_FILE_SIZE, read_file


class StoredFiles:
    """A vehicle's files, from its block store or else its Kubo repository; changes neither.

    Whoever has the store open moves a file to its name whole, or it is checked chunk by chunk, so
    half of one is never taken for the whole.
    """

    def __init__(self, store: Path, repository: Path) -> None:
        self._store = store
        self._repository = repository

    def get(self, cid: str) -> bytes:
        """Return a file. Raises `CidError`, `InvalidFile` or `NotFound`."""
        root = Cid.parse(cid)
        try:
            return self._from_store(root)
        except NotFound:
            if not self._repository.is_dir():
                raise
        return read_file(root, self._repository_block)

    def _from_store(self, root: Cid) -> bytes:
        try:
            with (self._store / "files" / str(root)).open("rb", buffering=0) as file:
                length = os.fstat(file.fileno()).st_size
                log = self._store / "trees" / str(root)
                nodes = {} if root.codec == RAW else read_node_log(log)
                chunks = stored_chunks(root, nodes, length, MAX_FILE_SIZE)
                pieces = [os.pread(file.fileno(), c.size, c.offset) for c in chunks]
        except FileNotFoundError:
            raise NotFound(f"{root} is not in the store {self._store}") from None
        for chunk, piece in zip(chunks, pieces, strict=True):
            if not chunk.cid.matches(piece):
                where = f"in the store {self._store}"
                raise NotFound(f"block {chunk.cid} {where} is damaged or missing")
        return b"".join(pieces)

    def _repository_block(self, cid: Cid) -> bytes:
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
    name = base64.b32encode(MULTIHASH_PREFIX + digest).decode().rstrip("=")
    return repository / "blocks" / name[-3:-1] / f"{name}.data"
