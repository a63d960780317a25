"""Canonical bytes: one value, one byte string (DAG-CBOR, https://ipld.io/specs/codecs/dag-cbor/).

The chain uses a flat part of DAG-CBOR: integers, byte strings, text, 64-bit floats, booleans,
null, and lists nested at most `MAX_DEPTH` deep. Maps and links are not used, so they are
refused. Each thing that has a hash (a header, a body, a transaction) is encoded by itself and
carried by others as a byte string. It can then be hashed and its signature checked before
anything inside it is parsed.
"""

from __future__ import annotations

import hashlib
from typing import Any

import dag_cbor
from multiformats import CID

from bift_ros.chain.exceptions import EncodingError

MAX_DEPTH = 4
_BYTES, _TEXT, _LIST, _MAP, _TAG = 2, 3, 4, 5, 6


def encode(value: Any) -> bytes:
    """Give the canonical bytes of `value`; raises EncodingError where it has none (NaN, maps)."""
    try:
        data: bytes = dag_cbor.encode(value)
    except Exception as error:  # the library raises many kinds, all of them about `value`
        raise EncodingError(f"no canonical form: {_first_line(error)}") from error
    _check_shape(data)
    return data


def decode(data: bytes) -> Any:
    """Read untrusted bytes; raises EncodingError unless `encode` would give exactly them."""
    _check_shape(data)
    try:
        value = dag_cbor.decode(data)
        canonical = dag_cbor.encode(value)
    except Exception as error:  # the library raises many kinds, all of them about `data`
        raise EncodingError(f"not DAG-CBOR: {_first_line(error)}") from error
    if canonical != data:
        raise EncodingError("not canonical DAG-CBOR")
    return value


def sha256(data: bytes) -> bytes:
    """Hash `data`; 32 bytes."""
    return hashlib.sha256(data).digest()


def block_cid(digest: bytes) -> str:
    """Give the IPLD CID (version 1, dag-cbor, base32) of the bytes whose SHA-256 is `digest`."""
    return str(CID("base32", 1, "dag-cbor", ("sha2-256", digest)))


def _check_shape(data: bytes) -> None:
    """Walk over the item heads and refuse what lies outside the chain's part of DAG-CBOR.

    One pass without recursion: deep nesting would cost the library seconds, not microseconds.
    """
    position = 0
    open_lists: list[int] = []  # items still to come, per list that encloses the position
    while True:
        if position >= len(data):
            raise EncodingError("the bytes end too early")
        major, info = data[position] >> 5, data[position] & 31
        position += 1
        argument = info
        if info >= 24:
            width = 1 << (info - 24)
            if info > 27 or position + width > len(data):
                raise EncodingError("the bytes end too early or hold an item of unknown length")
            argument = int.from_bytes(data[position : position + width], "big")
            position += width
        if major in (_MAP, _TAG):
            raise EncodingError("maps and links are not used on the chain")
        if major in (_BYTES, _TEXT):
            position += argument
        if open_lists:
            open_lists[-1] -= 1
        if major == _LIST:
            open_lists.append(argument)
            if len(open_lists) > MAX_DEPTH:
                raise EncodingError(f"lists nested deeper than {MAX_DEPTH}")
        while open_lists and open_lists[-1] == 0:
            open_lists.pop()
        if not open_lists:
            break
    if position != len(data):
        raise EncodingError("the bytes end too early or go on after the item")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
