"""What arrives on the fleet's topics, judged while it is still bytes.

Anybody on the domain may publish. A message that is larger than any honest one, or a transaction
that names no member as its sender, is never turned into an object.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from bift_msgs import msg
from rclpy.serialization import deserialize_message

from bift_ros.consensus.blocks import MAX_BLOCK_BYTES
from bift_ros.consensus.exceptions import UnknownSender

LARGEST: dict[type, int] = {
    # The wire's fields take less than twice a transaction's canonical bytes, of which a block has
    # room for so many.
    msg.Transaction: 4 * MAX_BLOCK_BYTES,
    msg.Block: 4 * MAX_BLOCK_BYTES,
    msg.Tip: 4096,
}
"""Bytes of a message in CDR, by its type."""
_SENDER = slice(8, 48)
"""Where a transaction's first field stands: behind CDR's encapsulation and the string's length."""


class ArrivalError(Exception):
    """A message that is no message of its type, or too large for one."""


def read_arrival(kind: type, data: bytes, members: Container[str]) -> Any:
    """The message of a type that these bytes are; `members` is everybody who is or was one.

    Raises ArrivalError, and UnknownSender for a transaction of somebody else.
    """
    if len(data) > LARGEST[kind]:
        raise ArrivalError(f"{len(data):,} bytes, at most {LARGEST[kind]:,} are read")
    if kind is msg.Transaction:
        sender = data[_SENDER].decode("ascii", "replace")
        if sender not in members:
            raise UnknownSender(f"{sender!r} is not a member")
    try:
        return deserialize_message(data, kind)
    except Exception as error:  # rclpy's own class is private, and what it raises no contract
        raise ArrivalError("its bytes are no message of this type") from error
