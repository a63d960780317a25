"""Files as CAR archives, version 1, to hand the blocks of a file from one IPFS node to another.

    varint length ‖ DAG-CBOR {"roots": [CID], "version": 1}, then for each block
    varint length ‖ CID ‖ the block's bytes                    (https://ipld.io/specs/transport/car/carv1)

Blocks are written depth first, each once. They are read in any order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import IO

import dag_cbor
from multiformats import CID

from bift_ros.storage.cidv1 import BINARY_LENGTH, DAG_PB, Cid, CidError
from bift_ros.storage.dagpb import decode_node, encode_varint
from bift_ros.storage.interface import StorageError
from bift_ros.storage.sources import Piece
from bift_ros.storage.unixfs import MAX_BLOCK_SIZE, MAX_DEPTH

CAR_TYPE = "application/vnd.ipld.car"

_MAX_HEADER = 4096
_MAX_VARINT = 9


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


class CarError(StorageError):
    """A file is no CAR archive that Bift reads, or a damaged one."""


class CarReader:
    """The blocks of an archive on disk, found by a scan of their heads; checked when read."""

    def __init__(self, file: IO[bytes]) -> None:
        """Scan an archive. Raises `CarError` where it is none, or has not just one root."""
        self._file = file
        self._blocks: dict[bytes, tuple[int, int]] = {}
        size = os.fstat(file.fileno()).st_size
        length, at = self._varint(0)
        if not 0 < length <= min(_MAX_HEADER, size - at):
            raise CarError("it is no CAR archive: its head is missing or too long")
        self.root = _root(self._read(at, length))
        at += length
        while at < size:
            length, at = self._varint(at)
            if not BINARY_LENGTH <= length <= BINARY_LENGTH + MAX_BLOCK_SIZE or at + length > size:
                raise CarError(f"the CAR archive is cut off or damaged at byte {at}")
            try:
                cid = Cid.from_bytes(self._read(at, BINARY_LENGTH))
            except CidError as error:
                raise CarError(f"the CAR archive at byte {at}: {error}") from error
            self._blocks[cid.digest] = at + BINARY_LENGTH, length - BINARY_LENGTH
            at += length

    def get(self, pieces: Sequence[Piece], deliver: Callable[[Piece, bytes], None]) -> None:
        """Give each of the pieces to `deliver`. Raises `CarError`, and what `deliver` raises."""
        for piece in pieces:
            deliver(piece, self._block(piece.cid))

    def _block(self, cid: Cid) -> bytes:
        if cid.digest not in self._blocks:
            raise CarError(f"the CAR archive lacks block {cid}")
        offset, size = self._blocks[cid.digest]
        data = self._read(offset, size)
        if not cid.matches(data):
            raise CarError(f"block {cid} in the CAR archive is damaged")
        return data

    def _read(self, offset: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, offset)

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for shift, byte in enumerate(self._read(at, _MAX_VARINT)):
            value |= (byte & 0x7F) << (7 * shift)
            if byte < 0x80:
                return value, at + shift + 1
        raise CarError(f"the CAR archive is cut off or damaged at byte {at}")


def _root(header: bytes) -> Cid:
    try:
        content = dag_cbor.decode(header)
    except Exception as error:  # whatever the decoder finds wrong with untrusted bytes
        raise CarError(f"it is no CAR archive: {error}") from error
    if not isinstance(content, dict) or content.get("version") != 1:
        raise CarError("the CAR archive is not of version 1")
    roots = content.get("roots")
    if not isinstance(roots, list) or len(roots) != 1 or not isinstance(roots[0], CID):
        raise CarError("the CAR archive does not have exactly one root")
    return Cid.from_bytes(bytes(roots[0]))
