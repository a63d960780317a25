"""The canonical bytes within a message of the fleet, which are its first field in CDR.

Its other fields are for people. No vehicle reads them, so nothing in them can matter.
"""

from __future__ import annotations

_LENGTH = slice(4, 8)
"""Behind the encapsulation's four bytes."""
_BIG_ENDIAN, _LITTLE_ENDIAN = b"\0\0", b"\0\1"
READABLE_BYTES = 2048
"""What the fields for people may take, at the most."""


class CdrError(Exception):
    """Bytes that are no message of the fleet, or larger than any honest one."""


def canonical_bytes(message: bytes, largest: int) -> bytes:
    """Give a message's first field, a sequence of at most `largest` bytes; raises CdrError."""
    if len(message) > largest + READABLE_BYTES:
        raise CdrError(f"{len(message):,} bytes, at most {largest + READABLE_BYTES:,} are read")
    if len(message) < _LENGTH.stop or message[:2] not in (_BIG_ENDIAN, _LITTLE_ENDIAN):
        raise CdrError("its bytes are no message in CDR")
    size = int.from_bytes(message[_LENGTH], "big" if message[:2] == _BIG_ENDIAN else "little")
    if size > largest:
        raise CdrError(f"{size:,} canonical bytes, at most {largest:,} are read")
    if size > len(message) - _LENGTH.stop:
        raise CdrError("its bytes end too early")
    return message[_LENGTH.stop : _LENGTH.stop + size]
