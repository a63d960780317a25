"""Files as CAR archives, version 1: the answer of a Trustless Gateway to `?format=car`.

    varint length ‖ DAG-CBOR {"roots": [CID], "version": 1}, then for each block
    varint length ‖ CID ‖ the block's bytes                    (https://ipld.io/specs/transport/car/carv1)

Blocks are written depth first, each once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dag_cbor
from multiformats import CID

from bift_ros.storage.cidv1 import BINARY_LENGTH, DAG_PB, Cid
from bift_ros.storage.dagpb import decode_node, encode_varint
from bift_ros.storage.unixfs import MAX_DEPTH

CAR_TYPE = "application/vnd.ipld.car"


def car_header(root: Cid) -> bytes:
    """What an archive of one root begins with."""
    header = dag_cbor.encode({"roots": [CID.decode(str(root))], "version": 1})
    return encode_varint(len(header)) + header


def car_block(cid: Cid, data: bytes) -> bytes:
    """One block as it stands in an archive."""
    return encode_varint(BINARY_LENGTH + len(data)) + cid.to_bytes() + data


def depth_first(
    root: Cid, get: Callable[[Cid], bytes], start: int = 0, stop: int | None = None
) -> Iterator[Cid]:
    """The blocks of a file, parents before children, each once; nodes are asked of `get`.

    Only blocks that hold or head bytes from `start` up to `stop` (None: the end). Raises
    `InvalidFile`, and what `get` raises.
    """
    seen = {root}
    stack = [(root, 0, 0)]
    while stack:
        cid, offset, depth = stack.pop()
        yield cid
        if cid.codec != DAG_PB or depth == MAX_DEPTH:
            continue
        children = []
        for link in decode_node(get(cid)):
            wanted = offset + link.size > start and (stop is None or offset < stop)
            if wanted and link.cid not in seen:
                seen.add(link.cid)
                children.append((link.cid, offset, depth + 1))
            offset += link.size
        stack.extend(reversed(children))
