"""Consensus objects to ROS messages and back.

The messages hold typed fields, so that `ros2 topic echo` reads well. Hashes and signatures
never cover the wire: they are recomputed from the canonical bytes of what is rebuilt here.
Rebuilding goes through the same checks of bounds as parsing canonical bytes does.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from bift_msgs import msg

from bift_ros.chain import blocks, tips, transactions
from bift_ros.chain.exceptions import FieldError, MalformedBlock, MalformedTransaction
from bift_ros.chain.group_key import GroupKey
from bift_ros.chain.shared_files import ShareFile, WithdrawFile


def _octets(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def transaction_to_message(
    transaction: transactions.Transaction, provider: str = ""
) -> msg.Transaction:
    """A transaction as it travels; `provider` is the sender's gateway."""
    message = msg.Transaction(
        sender=transaction.sender,
        sequence=transaction.sequence,
        signature=_octets(transaction.signature),
        provider=provider,
    )
    payload = transaction.payload
    match payload:
        case transactions.Transfer(recipient, amount):
            message.transfer = [msg.Transfer(recipient=recipient, amount=amount)]
        case transactions.ProposeTask():
            message.propose_task = [_fill(msg.ProposeTask(), payload)]
        case transactions.ModelCommit():
            message.model_commit = [
                msg.ModelCommit(
                    model_id=payload.model_id,
                    iteration=payload.iteration,
                    base_cid=payload.base_cid,
                    base_block=_octets(payload.base_block),
                    commitment=_octets(payload.commitment),
                )
            ]
        case transactions.ModelUpdate():
            message.model_update = [_fill(msg.ModelUpdate(), payload)]
        case transactions.MembershipVote(action, name, public_key):
            vote = msg.MembershipVote(action=action, name=name, public_key=_octets(public_key))
            message.membership_vote = [vote]
        case ShareFile():
            message.share_file = [_fill(msg.ShareFile(), payload)]
        case WithdrawFile(name):
            message.withdraw_file = [msg.WithdrawFile(name=name)]
        case GroupKey():
            message.group_key = [group_key_to_message(payload)]
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
    found = [
        *(_read(transactions.Transfer, m) for m in message.transfer),
        *(_read(transactions.ProposeTask, m) for m in message.propose_task),
        *(_read(transactions.ModelCommit, m) for m in message.model_commit),
        *(_read(transactions.ModelUpdate, m) for m in message.model_update),
        *(_read(transactions.MembershipVote, m) for m in message.membership_vote),
        *(_read(ShareFile, m) for m in message.share_file),
        *(_read(WithdrawFile, m) for m in message.withdraw_file),
        *(group_key_from_message(m) for m in message.group_key),
    ]
    if len(found) != 1:
        raise FieldError(f"payload: the message carries {len(found)}, not one")
    return transactions.Transaction(
        message.sender, message.sequence, found[0], bytes(message.signature)
    )


def group_key_to_message(key: GroupKey) -> msg.GroupKey:
    """A key for model files as it travels."""
    return msg.GroupKey(
        epoch=_octets(key.epoch),
        ephemeral=_octets(key.ephemeral),
        copies=_octets(key.copies),
        previous=_octets(key.previous),
        links=_octets(key.links),
    )


def group_key_from_message(message: msg.GroupKey) -> GroupKey:
    """The key that a message carries; raises FieldError where it is not well-formed."""
    return GroupKey(**{f.name: bytes(getattr(message, f.name)) for f in fields(GroupKey)})


def provider_from_message(message: msg.Transaction | msg.Block) -> str:
    """Where a relay says that the files are; empty where that is no URL. Nobody has signed it."""
    return message.provider if tips.PROVIDER.fullmatch(message.provider) else ""


def block_hash(digest: bytes) -> msg.BlockHash:
    """A block's name as it travels."""
    return msg.BlockHash(sha256=_octets(digest))


def tip_to_message(tip: tips.SignedTip, name: str) -> msg.Tip:
    """A tip as it travels; `name` is what people call the vehicle."""
    return msg.Tip(
        peer=tip.sender,
        name=name,
        index=tip.index,
        hash=tip.hash.hex(),
        learning_weight=tip.learning_weight,
        provider=tip.provider,
        stamp=tip.stamp,
        signature=_octets(tip.signature),
    )


def tip_from_message(message: msg.Tip) -> tips.SignedTip:
    """The tip that a message carries, its signature not yet checked; raises FieldError."""
    try:
        tip_hash = bytes.fromhex(message.hash)
    except ValueError as error:
        raise FieldError(f"hash: {message.hash[:80]!r} is not hex digits") from error
    return tips.SignedTip(
        sender=message.peer,
        index=message.index,
        hash=tip_hash,
        learning_weight=message.learning_weight,
        provider=message.provider,
        stamp=message.stamp,
        signature=bytes(message.signature),
    )


def header_to_message(header: blocks.Header) -> msg.BlockHeader:
    """A header as it travels."""
    return msg.BlockHeader(
        index=header.index,
        timestamp=header.timestamp,
        previous_hash=_octets(header.previous_hash),
        body_hash=_octets(header.body_hash),
        model_flag=bool(header.model_flag),
        miner=header.miner,
        difficulty=header.difficulty,
        nonce=header.nonce,
    )


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


def block_to_message(block: blocks.Block, provider: str = "") -> msg.Block:
    """A block as it travels; `provider` is the gateway of the vehicle that sends it."""
    message = msg.Block(
        hash=block.hash.hex(),
        header=header_to_message(block.header),
        transactions=[transaction_to_message(t) for t in block.body.transactions],
        signature=_octets(block.signature),
        provider=provider,
    )
    info = block.body.model_info
    if info is not None:
        filled = _fill(msg.ModelInfo(), info, skip=("contributors",))
        filled.contributors = list(info.contributors)
        message.model_info = [filled]
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
        values = _values(blocks.ModelInfo, message.model_info[0])
        values["contributors"] = tuple(values["contributors"])
        info = blocks.ModelInfo(**values)
    return blocks.Block(
        _header(message.header),
        blocks.Body(tuple(_transaction(t) for t in message.transactions), info),
        bytes(message.signature),
    )


def _header(message: msg.BlockHeader) -> blocks.Header:
    return blocks.Header(
        index=message.index,
        timestamp=message.timestamp,
        previous_hash=bytes(message.previous_hash),
        body_hash=bytes(message.body_hash),
        model_flag=int(message.model_flag),
        miner=message.miner,
        difficulty=message.difficulty,
        nonce=message.nonce,
    )


def _fill(message: Any, source: Any, skip: tuple[str, ...] = ()) -> Any:
    """Copy a dataclass's fields into the message's fields of the same names."""
    for field in fields(source):
        if field.name not in skip:
            setattr(message, field.name, getattr(source, field.name))
    return message


def _values(kind: Any, message: Any) -> dict[str, Any]:
    """The message's fields that a dataclass has, octets as bytes."""
    values = {field.name: getattr(message, field.name) for field in fields(kind)}
    return {
        name: bytes(value) if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


def _read(kind: Any, message: Any) -> Any:
    values = _values(kind, message)
    if "salt" in values:
        values["salt"] = bytes(values["salt"])
    return kind(**values)
