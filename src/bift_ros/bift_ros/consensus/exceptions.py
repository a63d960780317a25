"""Everything that the chain can refuse, as one family; each message says what is wrong."""
# ruff: noqa: N818 - a refusal is named for what it finds, as in ethereum/execution-specs

from __future__ import annotations


class ChainError(Exception):
    """The family's root."""


class EncodingError(ChainError):
    """Bytes that are not canonical DAG-CBOR, or a value that has no such form."""


class FieldError(ChainError):
    """A field of the wrong type, or out of its bounds."""


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


class SequenceGap(NotYetValid):
    """Earlier sequence numbers of the sender are missing."""


class UnknownTask(NotYetValid):
    """No task of this name was proposed so far."""


class FutureIteration(NotYetValid):
    """The iteration comes later than the next one."""


class MissingCommitment(NotYetValid):
    """The member's commitment is not on the chain, and updates without one don't count."""


class WrongSequence(InvalidTransaction):
    """A commit or update whose sequence number is not its iteration."""


class CommitmentsUnused(InvalidTransaction):
    """A commitment on a chain without commit–reveal."""


class InsufficientBalance(InvalidTransaction):
    """The sender owns less than it wants to give."""


class UnknownRecipient(InvalidTransaction):
    """The recipient is not a member."""


class TaskActive(InvalidTransaction):
    """A task is active, and there is one at a time."""


class TaskNameUsed(InvalidTransaction):
    """An earlier task had this model_id."""


class StaleIteration(InvalidTransaction):
    """The iteration is over: the update or commit came too late."""


class WrongBase(NotYetValid):
    """It was trained from another global model than the current one: maybe another branch's."""


class DuplicateUpdate(InvalidTransaction):
    """The member, or another with the same CID, has announced its update of this iteration."""


class DuplicateCommit(InvalidTransaction):
    """The member has committed in this iteration already."""


class CommitmentMismatch(InvalidTransaction):
    """The revealed CID and salt are not what the member committed to."""


class InvalidVote(InvalidTransaction):
    """A vote for a change of membership that makes no sense now, or was cast before."""


class TooManyShares(InvalidTransaction):
    """The member's list of shared files is full."""


class GroupKeysUnused(InvalidTransaction):
    """A key for model files on a chain that does not encrypt them."""


# --- blocks ---------------------------------------------------------------------------------


class InvalidBlock(ChainError):
    """A block that may not stand on the chain."""


class MalformedBlock(InvalidBlock):
    """Bytes that are no block."""


class BlockTooLarge(InvalidBlock):
    """The block's bytes exceed MAX_BLOCK_BYTES."""


class WrongHeight(InvalidBlock):
    """The height is not the parent's plus one."""


class WrongParent(InvalidBlock):
    """The previous hash is not the parent's, or the parent is not known."""


class WrongTimestamp(InvalidBlock):
    """The timestamp is not after the parent's, or too far ahead of the checker's clock."""


class WrongDifficulty(InvalidBlock):
    """The difficulty is not the policy's."""


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


class MisplacedUpdate(InvalidBlock):
    """A model update or commit stands in a block of the wrong kind."""


class TooFewUpdates(InvalidBlock):
    """A model block has fewer updates than the policy's minimum."""


class TooFewCommits(InvalidBlock):
    """The block that begins an iteration's reveals has fewer commits than the policy's minimum."""


class CommitsClosed(InvalidBlock):
    """Commits that come once the iteration's reveals have begun: others' updates may be known."""


class WrongModelInfo(InvalidBlock):
    """The model info disagrees with the task or with the block's updates."""


class WrongModel(InvalidBlock):
    """Recomputing PoFL over the block's updates gives another result."""


class NoGroupKey(InvalidBlock):
    """A model block while its members have no key for the model's file."""


class CannotAggregate(InvalidBlock):
    """PoFL has no result for these updates."""


class BadModelFile(InvalidBlock):
    """The file of a global model is malformed; a task with it can't go on."""


class BadUpdateFile(InvalidBlock):
    """An update's file is malformed: a miner drops it, a checker refuses the block."""

    def __init__(self, sender: str, cid: str, reason: str) -> None:
        super().__init__(f"the update {cid} of {sender} is malformed: {reason}")
        self.sender = sender
        self.cid = cid
        self.reason = reason
