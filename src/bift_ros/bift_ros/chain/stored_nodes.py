"""A row of the table of blocks: the block's bytes, and where it stands."""

from __future__ import annotations

from bift_ros.chain.interface import Standing, StoredNode
from bift_ros.consensus.blocks import parse_envelope
from bift_ros.consensus.encoding import decode, encode, sha256

_WORK_BYTES = 32


def standing_bytes(standing: Standing) -> bytes:
    """Write a block's weight, work and epoch."""
    work = standing.work.to_bytes(_WORK_BYTES, "big")
    return encode([standing.learning_weight, work, standing.epoch])


def digest_of(data: bytes, standing: bytes | None) -> bytes:
    """Give what tells that neither was altered."""
    return sha256(data + (standing or b""))


def node_of(data: bytes, standing: bytes | None) -> StoredNode:
    """Read a row that was checked when the database was opened."""
    header = parse_envelope(data)[0]
    found = None
    if standing is not None:
        learning_weight, work, epoch = decode(standing)
        found = Standing(learning_weight, int.from_bytes(work, "big"), epoch)
    return StoredNode(header.hash, header.previous_hash, header.height, found)
