"""Everything that the chain can refuse, as one family; each message says what is wrong."""
# ruff: noqa: N818 - a refusal is named for what it finds, as in ethereum/execution-specs

from __future__ import annotations


class ChainError(Exception):
    """The family's root."""


class EncodingError(ChainError):
    """Bytes that are not canonical DAG-CBOR, or a value that has no such form."""


class FieldError(ChainError):
    """A field of the wrong type, or out of its bounds."""


class MalformedState(ChainError):
    """Bytes that are no state."""


class GenesisError(ChainError):
    """A genesis file that can't be read or makes no sense."""


# --- transactions ---------------------------------------------------------------------------


class InvalidTransaction(ChainError):
    """A transaction that may not stand on the chain."""


class MalformedTransaction(InvalidTransaction):
    """Bytes that are no transaction."""


class UnknownSender(InvalidTransaction):
    """The sender is not a member."""


class BadSignature(InvalidTransaction):
    """The signature is not the sender's over these bytes on this chain."""


class SequenceUsed(InvalidTransaction):
    """The sequence number was used by an earlier transaction (maybe by this very one)."""


class NotYetValid(InvalidTransaction):
    """What the chain can't accept now but may accept after more blocks; a pool may hold it."""


class InsufficientBalance(InvalidTransaction):
    """The sender owns less than it wants to give."""


class StaleIteration(InvalidTransaction):
    """The iteration is over: the update or commit came too late."""


class DuplicateLearning(InvalidTransaction):
    """The member has committed, or announced its update, in this iteration; or it is a copy."""


# --- blocks ---------------------------------------------------------------------------------


class InvalidBlock(ChainError):
    """A block that may not stand on the chain."""


class MalformedBlock(InvalidBlock):
    """Bytes that are no block."""


class BlockTooLarge(InvalidBlock):
    """The block's bytes exceed MAX_BLOCK_BYTES."""


class WrongTimestamp(InvalidBlock):
    """The timestamp is not after the parent's, or too far ahead of the checker's clock."""


class MissingWork(InvalidBlock):
    """The hash does not meet the difficulty."""


class UnknownMiner(InvalidBlock):
    """The miner is not a member."""


class BadBlockSignature(InvalidBlock):
    """The signature is not the miner's over the block's hash."""


class BodyMismatch(InvalidBlock):
    """The body is not the one that the header was made for."""


class InvalidBlockTransaction(InvalidBlock):
    """One of the block's transactions is invalid; `__cause__` is the reason."""


class WrongModel(InvalidBlock):
    """The model info disagrees with the task, or with what PoFL makes of the block's updates."""


class CannotAggregate(InvalidBlock):
    """PoFL has no result for these updates on this base model, which may be malformed."""


class NotOnFinal(InvalidBlock):
    """A block that does not stand on the last final one, or not on the owner's checkpoint."""


class BadUpdateFile(InvalidBlock):
    """An update's file is malformed: a miner drops it, a checker refuses the block."""

    def __init__(self, sender: str, cid: str, reason: str) -> None:
        super().__init__(f"the update {cid} of {sender} is malformed: {reason}")
        self.sender = sender
        self.cid = cid
        self.reason = reason


# --- votes ----------------------------------------------------------------------------------


class BadQuorum(ChainError):
    """Votes that are too few, or not in the form in which a quorum is written."""


class UnknownVoted(ChainError):
    """The block that votes are for, or the source that they name, is not known here (yet)."""


class ConflictsWithFinal(ChainError):
    """Enough votes for a block that stands on another branch than the final one."""
