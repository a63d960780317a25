"""The bytes of an inner node of a file's tree: UnixFS inside DAG-PB, both protocol buffers.

    message PBNode { repeated PBLink Links = 2; bytes Data = 1; }          (Links are written first)
    message PBLink { bytes Hash = 1; string Name = 2; uint64 Tsize = 3; }
    message Data   { DataType Type = 1; bytes Data = 2; uint64 filesize = 3;
                     repeated uint64 blocksizes = 4; }                     (Type File = 2)

Specifications: https://ipld.io/specs/codecs/dag-pb/spec and https://specs.ipfs.tech/unixfs.
A node of raw leaves holds no content of its own, so these two functions are the whole codec.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bift_ros.storage.cidv1 import Cid, CidError
from bift_ros.storage.errors import StorageError

_VARINT, _BYTES = 0, 2
_FILE_TYPE = 2
_HASH, _NO_NAME = b"\x0a\x24", b"\x12\x00\x18"  # the constant bytes of a link; a CID has 36
_LINK = re.compile(
    re.escape(_HASH) + b"(.{36})" + re.escape(_NO_NAME) + rb"([\x80-\xff]*[\x00-\x7f])", re.DOTALL
)


class InvalidFile(StorageError):  # noqa: N818 - reads as what it is: "raise InvalidFile"
    """Blocks match their CIDs, but do not make a file: no provider can mend that."""


class Link(NamedTuple):
    """One child of a node."""

    cid: Cid
    size: int
    """Bytes of the file below this link (UnixFS `blocksizes`)."""
    tsize: int
    """Bytes of all blocks below this link, nodes included (DAG-PB `Tsize`); informative."""


def encode_node(links: Sequence[Link]) -> bytes:
    """The canonical bytes of a file node over these children."""
    node = bytearray()
    for link in links:
        child = _HASH + link.cid.to_bytes() + _NO_NAME + encode_varint(link.tsize)
        node += _bytes_field(2, child)
    data = _int_field(1, _FILE_TYPE) + _int_field(3, sum(link.size for link in links))
    data += b"".join(_int_field(4, link.size) for link in links)
    return bytes(node + _bytes_field(1, data))


def decode_node(block: bytes) -> tuple[Link, ...]:
    """Read an untrusted node; whatever `encode_node` would write otherwise is refused.

    Raises `InvalidFile`.
    """
    hashes: list[bytes] = []
    tsizes: list[int] = []
    sizes: list[int] = []
    for number, value in _fields(block):
        if number == 2 and isinstance(value, bytes):
            link = _LINK.fullmatch(value)
            if link is None:
                raise InvalidFile("a dag-pb link is not of the form that links in files have")
            hashes.append(link[1])
            tsizes.append(_read_varint(link[2], 0)[0])
        elif number == 1 and isinstance(value, bytes):
            sizes = [v for n, v in _fields(value) if n == 4 and isinstance(v, int)]
    if not hashes or len(hashes) != len(sizes):
        raise InvalidFile(f"a file node with {len(hashes)} links declares {len(sizes)} sizes")
    try:
        links = tuple(
            Link(Cid.from_bytes(cid), size, tsize)
            for cid, size, tsize in zip(hashes, sizes, tsizes, strict=True)
        )
    except CidError as error:
        raise InvalidFile(f"a dag-pb link names no block that Bift reads: {error}") from error
    # One check for all that was skipped above: order, type, names, total, unknown fields.
    if encode_node(links) != block:
        raise InvalidFile(
            "a dag-pb node is not a canonical UnixFS file node over raw leaves "
            "(add files with --cid-version=1 --raw-leaves)"
        )
    return links


def encode_varint(value: int) -> bytes:
    """A number the way protocol buffers and multiformats write it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int_field(number: int, value: int) -> bytes:
    return bytes((number << 3 | _VARINT,)) + encode_varint(value)


def _bytes_field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | _BYTES,)) + encode_varint(len(value)) + value


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            raise InvalidFile("a dag-pb node ends in the middle of a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise InvalidFile("a dag-pb node holds a number over 63 bits")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer message: number and value, nested messages as bytes."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        value, at = _read_varint(data, at)
        if key & 7 == _VARINT:
            yield key >> 3, value
        elif key & 7 == _BYTES:
            if value > len(data) - at:
                raise InvalidFile("a dag-pb node is cut off")
            yield key >> 3, data[at : at + value]
            at += value
        else:
            raise InvalidFile(f"a dag-pb node holds wire type {key & 7}, which UnixFS never uses")
