"""Content identifiers, version 1, of the two kinds that files consist of.

A CID's binary form is `version 0x01 ‖ codec ‖ multihash (0x12 sha2-256, 0x20 length, digest)`, its
text a `b` and the lower-case, unpadded base32 of that (https://github.com/multiformats/cid). Both
codecs used here are one byte, so every CID is 36 bytes or 59 characters.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import NamedTuple

from bift_ros.storage.errors import StorageError

RAW = 0x55
"""Multicodec of a block that is file content and nothing else."""
DAG_PB = 0x70
"""Multicodec of a block that links other blocks: an inner node of a file's tree."""

BINARY_LENGTH = 36
TEXT_LENGTH = 59

MULTIHASH_PREFIX = b"\x12\x20"
_BASE32 = re.compile("[a-z2-7]+")
_DIGITS = str.maketrans("abcdefghijklmnopqrstuvwxyz234567", "0123456789abcdefghijklmnopqrstuv")
"""Base32's digits as `int` reads them, several times as fast as `base64.b32decode`."""
_UNUSED_BITS = 2
"""Of the 58 digits of 5 bits that write 36 bytes."""


class CidError(StorageError, ValueError):
    """A text or byte string is not a CID of a kind that Bift uses."""


class Cid(NamedTuple):
    """The name of one block: how to read it, and the SHA-256 of its bytes."""

    codec: int
    """`RAW` or `DAG_PB`."""
    digest: bytes
    """32 bytes."""

    @classmethod
    def of(cls, codec: int, data: bytes | memoryview) -> Cid:
        """Name a block by its bytes."""
        return cls(codec, hashlib.sha256(data).digest())

    @classmethod
    def from_bytes(cls, data: bytes) -> Cid:
        """Read the binary form; raises `CidError`."""
        if len(data) != BINARY_LENGTH or data[0] != 1:
            raise CidError(f"{data[:40].hex()} is not a CIDv1 with a 32-byte hash")
        if data[1] not in (RAW, DAG_PB):
            raise CidError(f"codec {data[1]:#04x} is neither raw (0x55) nor dag-pb (0x70)")
        if data[2:4] != MULTIHASH_PREFIX:
            raise CidError(f"multihash {data[2:4].hex()} is not sha2-256 (1220)")
        return cls(data[1], data[4:])

    @classmethod
    def parse(cls, text: str) -> Cid:
        """Read a CID's text from an untrusted source; only the one canonical spelling passes.

        Raises `CidError`.
        """
        if not isinstance(text, str):
            raise CidError(f"a CID is a text, not {type(text).__name__}")
        if len(text) != TEXT_LENGTH or text[0] != "b":
            raise CidError(
                f"{text[:70]!r} is not a CID: expected {TEXT_LENGTH} characters that begin with b "
                "(CIDv1, base32, sha2-256)"
            )
        if not _BASE32.fullmatch(text, 1):
            raise CidError(f"{text!r} is not a CID: not lower-case base32")
        number = int(text[1:].translate(_DIGITS), 32)
        cid = cls.from_bytes((number >> _UNUSED_BITS).to_bytes(BINARY_LENGTH, "big"))
        if number % (1 << _UNUSED_BITS):  # one CID, one spelling
            raise CidError(f"{text!r} is not a canonical CID; it should read {cid}")
        return cid

    def to_bytes(self) -> bytes:
        """The binary form, as links inside blocks hold it."""
        return bytes((1, self.codec)) + MULTIHASH_PREFIX + self.digest

    def matches(self, data: bytes | memoryview) -> bool:
        """Whether these are the block's bytes."""
        return hashlib.sha256(data).digest() == self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.to_bytes()).decode().rstrip("=").lower()
