"""What a member signed, by the fixed places of its envelope: nothing else is read before it holds.

An envelope is a list whose first item is its sender's address, and whose last is the signature
over the items before it. The address and the signature have one length each, so both are found
without decoding anything.
"""

from __future__ import annotations

from bift_ros.consensus.encoding import encode
from bift_ros.consensus.exceptions import EncodingError
from bift_ros.identity.keys import ADDRESS_HEX_DIGITS, SIGNATURE_BYTES, verify

_LIST = 0x80
_ADDRESS_HEAD = encode("0" * ADDRESS_HEX_DIGITS)[:-ADDRESS_HEX_DIGITS]
_SIGNATURE_HEAD = encode(bytes(SIGNATURE_BYTES))[:-SIGNATURE_BYTES]
_SENDER_AT = 1 + len(_ADDRESS_HEAD)
_SENDER_END = _SENDER_AT + ADDRESS_HEX_DIGITS
_SIGNED_END = -SIGNATURE_BYTES - len(_SIGNATURE_HEAD)
_LEAST = _SENDER_END - _SIGNED_END


def named_sender(data: bytes, items: int) -> str:
    """Give the address that an envelope of so many items names; raises EncodingError."""
    head = bytes((_LIST | items,)) + _ADDRESS_HEAD
    end = len(data) - SIGNATURE_BYTES
    if len(data) < _LEAST or data[:_SENDER_AT] != head or data[_SIGNED_END:end] != _SIGNATURE_HEAD:
        raise EncodingError("it does not begin with a sender and end with a signature")
    return data[_SENDER_AT:_SENDER_END].decode("ascii", "replace")


def signed_part(data: bytes) -> bytes:
    """Give the items that the signature covers, without the list's head."""
    return data[1:_SIGNED_END]


def holds(public_key: bytes, data: bytes, prefix: bytes) -> bool:
    """Tell whether a key signed an envelope; `prefix` is what stands before its signed part."""
    return verify(public_key, data[-SIGNATURE_BYTES:], prefix + data[1:_SIGNED_END])
