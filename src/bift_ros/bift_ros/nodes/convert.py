"""Consensus objects to ROS messages and back.

The messages hold typed fields, so that `ros2 topic echo` reads well. Hashes and signatures
never cover the wire: they are recomputed from the canonical bytes of what is rebuilt here.
Rebuilding goes through the same checks of bounds as parsing canonical bytes does.
"""

from __future__ import annotations

from array import array
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from bift_msgs import msg

from bift_ros.chain import tips
from bift_ros.consensus import blocks, payloads, transactions
from bift_ros.consensus.exceptions import (
    FieldError,
    MalformedBlock,
    MalformedTransaction,
)
from bift_ros.consensus.group_key import GroupKey

_T = TypeVar("_T")
_PAYLOADS: dict[Any, Any] = {
    payloads.Transfer: msg.Transfer,
    payloads.ProposeTask: msg.ProposeTask,
    payloads.ModelCommit: msg.ModelCommit,
    payloads.ModelUpdate: msg.ModelUpdate,
    payloads.MembershipVote: msg.MembershipVote,
    payloads.ShareFile: msg.ShareFile,
    payloads.WithdrawFile: msg.WithdrawFile,
    GroupKey: msg.GroupKey,
}
"""Kinds of payload and their messages, which have fields of the same names."""


def _octets(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def transaction_to_message(transaction: transactions.Transaction) -> msg.Transaction:
    """A transaction as it travels."""
    message = msg.Transaction(
        sender=transaction.sender,
        sequence=transaction.sequence,
        signature=_octets(transaction.signature),
    )
    payload = transaction.payload
    setattr(message, payload.KIND, [_written(_PAYLOADS[type(payload)], payload)])
    return message


def transaction_from_message(message: msg.Transaction) -> transactions.Transaction:
    """The transaction that a message carries, its signature not yet checked.

    Raises MalformedTransaction where it does not carry exactly one well-formed payload.
    """
    try:
        return _transaction(message)
    except FieldError as error:
        raise MalformedTransaction(f"no transaction: {error}") from error


def _transaction(message: msg.Transaction) -> transactions.Transaction:
    found = [_read(kind, m) for kind in _PAYLOADS for m in getattr(message, kind.KIND)]
    if len(found) != 1:
        raise FieldError(f"payload: the message carries {len(found)}, not one")
    return transactions.Transaction(
        message.sender, message.sequence, found[0], bytes(message.signature)
    )


def group_key_to_message(key: GroupKey) -> msg.GroupKey:
    """A key for model files as it travels."""
    return _written(msg.GroupKey, key)


def group_key_from_message(message: msg.GroupKey) -> GroupKey:
    """The key that a message carries; raises FieldError where it is not well-formed."""
    return _read(GroupKey, message)


def block_hash(digest: bytes) -> msg.BlockHash:
    """A block's name as it travels."""
    return msg.BlockHash(sha256=_octets(digest))


def tip_to_message(tip: tips.SignedTip, name: str) -> msg.Tip:
    """A tip as it travels; `name` is what people call the vehicle."""
    said = {"peer": tip.sender, "name": name, "hash": tip.hash.hex()}
    return _written(msg.Tip, tip, skip="sender", **said)


def tip_from_message(message: msg.Tip) -> tips.SignedTip:
    """The tip that a message carries, its signature not yet checked; raises FieldError."""
    try:
        tip_hash = bytes.fromhex(message.hash)
    except ValueError as error:
        raise FieldError(f"hash: {message.hash[:80]!r} is not hex digits") from error
    return _read(tips.SignedTip, message, sender=message.peer, hash=tip_hash)


def header_to_message(header: blocks.Header) -> msg.BlockHeader:
    """A header as it travels."""
    return _written(msg.BlockHeader, header, model_flag=bool(header.model_flag))


def signed_header_to_message(signed: blocks.SignedHeader) -> msg.SignedHeader:
    """A block without its body as it travels."""
    return msg.SignedHeader(
        header=header_to_message(signed.header), signature=_octets(signed.signature)
    )


def signed_header_from_message(message: msg.SignedHeader) -> blocks.SignedHeader:
    """The header that a message carries, neither its work nor its signature checked.

    Raises MalformedBlock where it is not well-formed.
    """
    try:
        return blocks.SignedHeader(_header(message.header), bytes(message.signature))
    except FieldError as error:
        raise MalformedBlock(f"no header: {error}") from error


def block_to_message(block: blocks.Block) -> msg.Block:
    """A block as it travels."""
    message = msg.Block(
        hash=block.hash.hex(),
        header=header_to_message(block.header),
        transactions=[transaction_to_message(t) for t in block.body.transactions],
        signature=_octets(block.signature),
    )
    info = block.body.model_info
    if info is not None:
        contributors = list(info.contributors)
        message.model_info = [_written(msg.ModelInfo, info, contributors=contributors)]
    return message


def block_from_message(message: msg.Block) -> blocks.Block:
    """The block that a message carries, nothing in it checked but its form.

    Raises MalformedBlock where it is not well-formed.
    """
    try:
        return _block(message)
    except (FieldError, MalformedTransaction) as error:
        raise MalformedBlock(f"no block: {error}") from error


def _block(message: msg.Block) -> blocks.Block:
    info = None
    if message.model_info:
        told = message.model_info[0]
        info = _read(blocks.ModelInfo, told, contributors=tuple(told.contributors))
    return blocks.Block(
        _header(message.header),
        blocks.Body(tuple(_transaction(t) for t in message.transactions), info),
        bytes(message.signature),
    )


def _header(message: msg.BlockHeader) -> blocks.Header:
    return _read(blocks.Header, message, model_flag=int(message.model_flag))


def _written(kind: type[_T], source: Any, skip: str = "", **instead: Any) -> _T:
    """A message with a dataclass's fields of the same names, bytes as octets."""
    values = {f.name: getattr(source, f.name) for f in fields(source) if f.name != skip} | instead
    return kind(**{n: _octets(v) if isinstance(v, bytes) else v for n, v in values.items()})


def _read(kind: type[_T], message: Any, **instead: Any) -> _T:
    """A dataclass with the message's fields of the same names, octets as bytes."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    values = {name: getattr(message, name) for name in names if name not in instead} | instead
    octets = (np.ndarray, array)
    return kind(**{n: bytes(v) if isinstance(v, octets) else v for n, v in values.items()})
