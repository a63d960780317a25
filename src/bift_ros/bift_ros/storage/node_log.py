"""The inner nodes of a stored file: one log a file, each record a length and a node.

A record is `length (4 bytes, big-endian) ‖ node`. Nodes stand in the order in which they came, and
each is found by its hash, so a log that a killed process left half-written is read as far as it
makes sense.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.errors import NotFound
from bift_ros.storage.unixfs import MAX_BLOCK_SIZE, MAX_TREE_BYTES, Chunk, chunks_of

_LENGTH_BYTES = 4

Nodes = Mapping[Cid, tuple[int, bytes]]
"""Each node of a log, with its offset in bytes."""


def log_record(node: bytes) -> bytes:
    """What the log holds for one node."""
    return len(node).to_bytes(_LENGTH_BYTES, "big") + node


def read_node_log(path: Path) -> Nodes:
    """Each whole node of a log; none where there is no log.

    What lies beyond the most that a file's nodes take is not read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            log = file.read(MAX_TREE_BYTES)
    except FileNotFoundError:
        return {}
    nodes = {}
    at = 0
    while at + _LENGTH_BYTES <= len(log):
        size = int.from_bytes(log[at : at + _LENGTH_BYTES], "big")
        at += _LENGTH_BYTES
        if not 0 < size <= MAX_BLOCK_SIZE or at + size > len(log):
            break
        node = log[at : at + size]
        nodes[Cid.of(DAG_PB, node)] = at, node
        at += size
    return nodes


def stored_chunks(root: Cid, nodes: Nodes, length: int, max_size: int) -> list[Chunk]:
    """Where each chunk of a stored file lies; `length` is the file's, in bytes.

    Raises `NotFound` where a node is missing, and `InvalidFile` for a tree over `max_size` bytes.
    """
    if root.codec == RAW:
        return [Chunk(root, 0, length)]

    def node(cid: Cid) -> bytes:
        if cid not in nodes:
            raise NotFound(f"block {cid} is not in this store")
        return nodes[cid][1]

    return chunks_of(root, node, max_size)
