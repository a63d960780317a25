"""Messages of the fleet's topics, as whoever has no key can write them."""

from __future__ import annotations

from bift_msgs import msg

from bift_ros.chain.tips import SignedTip
from bift_ros.nodes import convert


def unsigned_tip(
    name: str, address: str = "a" * 40, tip_hash: bytes = bytes(32), height: int = 0
) -> msg.Tip:
    """A well-formed tip that nobody has signed: for observers it will do."""
    tip = SignedTip(address, height, tip_hash, 0, "", 0, 0, b"", b"", bytes(64))
    return convert.tip_to_message(tip, name)
