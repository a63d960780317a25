"""Reading the files of a block store that a running vehicle has open."""

from __future__ import annotations

import os
from pathlib import Path

from bift_ros.storage.blockstore import node_of
from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.interface import NotFound
from bift_ros.storage.trees import read_tree
from bift_ros.storage.unixfs import MAX_FILE_SIZE, Chunk, chunks_of


class StoreReader:
    """Reads a store's folder and changes nothing in it, whoever else has it open.

    A file is moved to its name whole, or checked chunk by chunk, so a reader never takes half of
    one for the whole.
    """

    def __init__(self, path: str | Path) -> None:
        self._home = Path(path)

    def get(self, cid: str) -> bytes:
        """Return a file. Raises `CidError`, `InvalidFile` or `NotFound`."""
        root = Cid.parse(cid)
        try:
            with (self._home / "files" / cid).open("rb", buffering=0) as file:
                chunks = [Chunk(root, 0, os.fstat(file.fileno()).st_size)]
                if root.codec != RAW:
                    nodes = read_tree(self._home / "trees" / cid)
                    chunks = chunks_of(root, lambda node: node_of(nodes, node), MAX_FILE_SIZE)
                pieces = [os.pread(file.fileno(), c.size, c.offset) for c in chunks]
        except FileNotFoundError:
            raise NotFound(f"{root} is not in the store {self._home}") from None
        for chunk, piece in zip(chunks, pieces, strict=True):
            if not chunk.cid.matches(piece):
                raise NotFound(f"block {chunk.cid} in the store {self._home} is damaged or missing")
        return b"".join(pieces)
