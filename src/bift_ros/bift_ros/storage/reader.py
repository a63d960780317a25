"""Reading the files of a block store that a running vehicle has open."""

from __future__ import annotations

from pathlib import Path

from bift_ros.storage.blockstore import block_file
from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.interface import NotFound
from bift_ros.storage.unixfs import read_file


class StoreReader:
    """Reads a store's folder and changes nothing in it, whoever else has it open.

    Blocks are written whole or not at all, so a reader never sees half of one.
    """

    def __init__(self, path: str | Path) -> None:
        self._home = Path(path)

    def get(self, cid: str) -> bytes:
        """Return a file. Raises `CidError`, `InvalidFile` or `NotFound`."""
        return read_file(Cid.parse(cid), self._block)

    def _block(self, cid: Cid) -> bytes:
        try:
            data = block_file(self._home, cid.digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"block {cid} is not in the store {self._home}") from None
        if not cid.matches(data):
            raise NotFound(f"block {cid} in the store {self._home} is damaged")
        return data
