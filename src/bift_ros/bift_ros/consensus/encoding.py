"""Canonical bytes: one value, one byte string (DAG-CBOR, https://ipld.io/specs/codecs/dag-cbor/).

The chain uses a flat part of DAG-CBOR: integers, byte strings, text, 64-bit floats, booleans,
null, and lists nested at most `MAX_DEPTH` deep. Maps and links are not used, so they are
refused. Each thing that has a hash (a header, a body, a transaction) is encoded by itself and
carried by others as a byte string. It can then be hashed and its signature checked before
anything inside it is parsed.

That part is small enough to be written out here, which keeps consensus apart from any library's
version and is many times faster than the `dag-cbor` package; the tests hold both side by side.
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Any

from bift_ros.consensus.exceptions import EncodingError

MAX_DEPTH = 4
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _SIMPLE = 0, 1, 2, 3, 4, 7  # major types
_FLOAT = _SIMPLE << 5 | 27
_DOUBLE = struct.Struct(">d")
_CONSTANTS = {0xF4: False, 0xF5: True, 0xF6: None}


def encode(value: Any) -> bytes:
    """Give the canonical bytes of `value`; raises EncodingError where it has none (NaN, maps)."""
    out = bytearray()
    _write(value, out, 0)
    return bytes(out)


def decode(data: bytes) -> Any:
    """Read untrusted bytes; raises EncodingError unless `encode` would give exactly them."""
    (value,), end = _read(data, 0, 1, 0)
    if end != len(data):
        raise EncodingError(f"{len(data) - end} bytes follow the item")
    return value


def byte_strings(data: bytes, most: int) -> list[bytes]:
    """Read a list of at most so many byte strings, whatever is in them; raises EncodingError.

    It takes as many steps as there are byte strings, whatever a stranger has put in their place.
    """
    if not data or data[0] >> 5 != _LIST:
        raise EncodingError("not a list")
    count, position = _read_argument(data, 1, data[0] & 31)
    if count > most:
        raise EncodingError(f"a list of {count} items, more than {most}")
    items = []
    for _ in range(count):
        if position >= len(data) or data[position] >> 5 != _BYTES:
            raise EncodingError("an item is not a byte string")
        size, start = _read_argument(data, position + 1, data[position] & 31)
        position = start + size
        if position > len(data):
            raise EncodingError("the bytes end too early")
        items.append(data[start:position])
    if position != len(data):
        raise EncodingError(f"{len(data) - position} bytes follow the list")
    return items


def sha256(data: bytes) -> bytes:
    """Hash `data`; 32 bytes."""
    return hashlib.sha256(data).digest()


def _write(value: Any, out: bytearray, depth: int) -> None:
    kind = type(value)
    if kind is int and -(2**64) <= value < 2**64:
        _write_head(_UNSIGNED if value >= 0 else _NEGATIVE, value if value >= 0 else ~value, out)
    elif kind is bytes:
        _write_head(_BYTES, len(value), out)
        out += value
    elif kind is str:
        try:
            text = value.encode()
        except UnicodeEncodeError as error:
            raise EncodingError(f"no canonical form: {error}") from error
        _write_head(_TEXT, len(text), out)
        out += text
    elif kind is float and math.isfinite(value):
        out.append(_FLOAT)
        out += _DOUBLE.pack(value)
    elif value is None or kind is bool:
        out.append(0xF6 if value is None else 0xF5 if value else 0xF4)
    elif kind is list:
        if depth == MAX_DEPTH:
            raise EncodingError(f"lists nested deeper than {MAX_DEPTH}")
        _write_head(_LIST, len(value), out)
        for item in value:
            _write(item, out, depth + 1)
    else:
        raise EncodingError(f"no canonical form: {value!r:.60} of type {kind.__name__}")


def _write_head(major: int, argument: int, out: bytearray) -> None:
    if argument < 24:
        out.append(major << 5 | argument)
        return
    if argument < 256:
        out.append(major << 5 | 24)
        out.append(argument)
        return
    power = 0  # the argument takes 2^power bytes, as few as will do
    while argument >> (8 << power):
        power += 1
    out.append(major << 5 | 24 + power)
    out += argument.to_bytes(1 << power, "big")


def _read(data: bytes, position: int, count: int, depth: int) -> tuple[list[Any], int]:
    """Read so many items at `position`; give them and the position after the last.

    Nearly all of what a vehicle decodes goes through this loop, so it calls little.
    """
    items: list[Any] = []
    size = len(data)
    for _ in range(count):
        if position >= size:
            raise EncodingError("the bytes end too early")
        first = data[position]
        position += 1
        argument = first & 31
        if argument > 23 and first < _SIMPLE << 5:
            if argument == 24 and position < size and data[position] > 23:
                argument = data[position]
                position += 1
            else:
                argument, position = _read_argument(data, position, argument)
        major = first >> 5
        if major in (_BYTES, _TEXT):
            end = position + argument
            if end > size:
                raise EncodingError("the bytes end too early")
            try:
                items.append(data[position:end].decode() if major == _TEXT else data[position:end])
            except UnicodeDecodeError as error:
                raise EncodingError(f"text that is not UTF-8: {error.reason}") from error
            position = end
        elif major == _UNSIGNED:
            items.append(argument)
        elif first == _FLOAT and position + 8 <= size:
            (number,) = _DOUBLE.unpack_from(data, position)
            if not math.isfinite(number):
                raise EncodingError(f"{number} has no canonical form")
            items.append(number)
            position += 8
        elif major == _NEGATIVE:
            items.append(~argument)
        elif first in _CONSTANTS:
            items.append(_CONSTANTS[first])
        elif major == _LIST:
            if argument > size - position:  # its items take a byte each at the least
                raise EncodingError("the bytes end too early")
            if depth == MAX_DEPTH:
                raise EncodingError(f"lists nested deeper than {MAX_DEPTH}")
            item, position = _read(data, position, argument, depth + 1)
            items.append(item)
        else:
            raise EncodingError(f"items that begin with 0x{first:02x} are not used on the chain")
    return items, position


def _read_argument(data: bytes, position: int, info: int) -> tuple[int, int]:
    """Read what follows a head that ends in `info`; give it and the position after it."""
    if info < 24:
        return info, position
    end = position + (1 << info - 24)
    if info > 27 or end > len(data):
        raise EncodingError("the bytes end too early or hold an item of unknown length")
    argument = int.from_bytes(data[position:end], "big")
    shortest = 24 if info == 24 else 1 << 4 * (1 << info - 24)
    if argument < shortest:
        raise EncodingError(f"{argument} is written longer than it need be")
    return argument, end
