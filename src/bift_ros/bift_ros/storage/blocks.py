"""What a fetch needs of a store, so that it can fill any: the embedded one or a Kubo daemon."""

from __future__ import annotations

from typing import Protocol

from bift_ros.storage.cidv1 import Cid


class BlockSource(Protocol):
    """Blocks by CID."""

    def get(self, cid: Cid) -> bytes:
        """Return one block, checked against its CID. Raises `NotFound`."""
        ...


class BlockSink(Protocol):
    """Where the blocks of one file go."""

    def hold(self, cid: Cid) -> bool:
        """Keep a block that may be here already; False where it isn't here."""
        ...

    def put(self, cid: Cid, data: bytes | memoryview) -> None:
        """Write one block; `data` must be what `cid` names. Raises `StorageError`."""
        ...
