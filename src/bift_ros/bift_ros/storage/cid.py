"""The CID of a file, and the check of CIDs that others name: what the rooms above need."""

from __future__ import annotations

from bift_ros.storage.cidv1 import Cid, CidError
from bift_ros.storage.unixfs import CHUNK_SIZE, blocks_of

__all__ = ["CidError", "check_cid_text", "cid_of"]


def cid_of(data: bytes, chunk_size: int = CHUNK_SIZE) -> str:
    """The CID that `ipfs add --cid-version=1 --raw-leaves --chunker=size-N` gives these bytes."""
    root = None
    for root, _ in blocks_of(data, chunk_size):  # noqa: B007 - the last block is the root
        pass
    return str(root)


def check_cid_text(cid: str) -> str:
    """Return `cid` if it is a canonical CIDv1 (sha2-256; raw or dag-pb), else raise `CidError`."""
    return str(Cid.parse(cid))
