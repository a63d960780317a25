"""Consensus objects to ROS messages and back.

A message carries the canonical bytes. What stands beside them is written here for people and read
by nobody, but for the name in a tip, which observers show.
"""

from __future__ import annotations

import json
from array import array
from dataclasses import fields
from typing import Any

from bift_msgs import msg

from bift_ros.chain.tips import SignedTip
from bift_ros.consensus.authorship import read_anonymous_block
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.payloads import Payload
from bift_ros.consensus.transactions import Transaction

_SHOWN_BYTES = 32
"""Of a byte string in a payload; the rest is cut off."""


def octets(data: bytes) -> array[int]:
    """Bytes as a message holds them."""
    return array("B", data)


def transaction_to_message(transaction: Transaction) -> msg.Transaction:
    """A transaction as it travels."""
    return msg.Transaction(
        canonical=octets(transaction.to_bytes()),
        sender=transaction.sender,
        sequence=transaction.sequence,
        kind=transaction.payload.KIND,
        payload=_text(transaction.payload),
    )


def transaction_from_message(message: msg.Transaction) -> Transaction:
    """The transaction that a message carries, its signature not checked.

    Raises MalformedTransaction.
    """
    return Transaction.from_bytes(bytes(message.canonical))


def tip_to_message(tip: SignedTip, name: str) -> msg.Tip:
    """A tip as it travels; `name` is what people call the vehicle."""
    return msg.Tip(
        canonical=octets(tip.to_bytes()), name=name, height=tip.height, hash=tip.hash.hex()
    )


def tip_from_message(message: msg.Tip) -> SignedTip:
    """The tip that a message carries, its signature not checked.

    Raises EncodingError or FieldError.
    """
    return SignedTip.from_bytes(bytes(message.canonical))


def block_to_message(block: Block) -> msg.Block:
    """A block as it travels."""
    header, info = block.header, block.body.model_info
    message = msg.Block(
        canonical=octets(block.to_bytes()),
        hash=block.hash.hex(),
        height=header.height,
        miner=header.miner,
        transactions=len(block.body.transactions),
    )
    if info is not None:
        message.iteration, message.model_id = info.current_iter, info.model_id
        message.accuracy, message.contributors = info.accuracy, len(info.contributors)
    return message


def block_from_message(message: msg.Block) -> Block:
    """The block that a message carries, whoever made it.

    Raises MalformedBlock, BlockTooLarge or BodyMismatch.
    """
    return read_anonymous_block(bytes(message.canonical))


def _text(payload: Payload) -> str:
    said = {field.name: _shown(getattr(payload, field.name)) for field in fields(payload)}
    return json.dumps(said)


def _shown(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    return value[:_SHOWN_BYTES].hex() + ("..." if len(value) > _SHOWN_BYTES else "")
