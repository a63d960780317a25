"""Messages as they come in CDR, and a gate of the test's members that counts signature checks."""

from __future__ import annotations

import struct
from typing import Any

from bift_ros.admission.gate import Gate
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.payloads import Payload, ShareFile, Transfer
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.identity.keys import KeyPair
from world.consortium import Consortium, cid_for

WORLD = Consortium(5)
STRANGER = KeyPair.from_seed(bytes(32))
READABLE = b"\x05\0\0\0text\0"
"""What stands behind the canonical bytes, for people."""


def cdr(data: bytes, claimed: int | None = None) -> bytes:
    size = len(data) if claimed is None else claimed
    return b"\0\1\0\0" + struct.pack("<I", size) + data + READABLE


def said(member: int, sequence: int = 0, payload: Payload | None = None) -> Transaction:
    payload = payload or Transfer(WORLD.address(0), 1)
    return sign_transaction(WORLD.keys[member], sequence, payload, WORLD.genesis.hash)


def forged(number: int, name: str) -> bytes:
    """A transaction that names a member who has not signed it; no two alike."""
    share = ShareFile(f"junk{number}", cid_for("junk"), 1, "")
    tx = sign_transaction(STRANGER, 0, share, WORLD.genesis.hash)
    return cdr(tx.to_bytes().replace(STRANGER.address.encode(), name.encode()))


def block(**how: Any) -> Block:
    return WORLD.block(WORLD.start, [said(1, 0, WORLD.proposal())], **how)


def open_gate(**changes: Any) -> Gate:
    what: dict[str, Any] = {
        "genesis": WORLD.genesis,
        "address": WORLD.address(4),
        "members": WORLD.genesis.by_address,
        "has_block": lambda name: False,
        "state": WORLD.start,
    }
    return Gate(**what | changes)
