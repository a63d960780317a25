"""What members say on the chain: ten kinds of payload.

Canonical bytes of a payload: the DAG-CBOR list `[kind, field, …]` in the order of the fields below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar, NamedTuple, get_args

from bift_ros.consensus.encoding import decode, encode, sha256
from bift_ros.consensus.envelopes import named_sender
from bift_ros.consensus.exceptions import (
    EncodingError,
    FieldError,
    MalformedTransaction,
)
from bift_ros.consensus.fields import (
    NAME,
    check_address,
    check_bytes,
    check_cid,
    check_float,
    check_integer,
    check_list,
    check_text,
)
from bift_ros.consensus.genesis import Member
from bift_ros.consensus.group_key import GroupKey
from bift_ros.pofl.aggregate import RULES

MAX_ITERATIONS = 1_000_000
MAX_SAMPLES = 2**24
MAX_SALT_BYTES = 32
HASH_BYTES = 32
MAX_VOTE_BYTES = 256
VOTE_ITEMS = 9
"""Of a vote's list (see `votes`)."""
FACTORY = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
WORD = re.compile(r"[a-z0-9_]{1,32}")
MAX_FILE_BYTES = 2**50
FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_DESCRIPTION = re.compile(r"[ -~]{0,200}")


@dataclass(frozen=True)
class Transfer:
    """Gives stake to another member (paper, section III: stake is freely traded)."""

    KIND: ClassVar[str] = "transfer"

    recipient: str
    """Who is given the stake."""
    amount: int
    """How much, at least 1."""

    def __post_init__(self) -> None:
        check_address("recipient", self.recipient)
        check_integer("amount", self.amount, 1)


@dataclass(frozen=True)
class ProposeTask:
    """Starts a federated learning task; one is active at a time."""

    KIND: ClassVar[str] = "propose_task"

    model_id: str
    """The task's name, which none of the last tasks had."""
    init_cid: str
    """The initial global model's file."""
    total_iter: int
    """How many iterations the task runs."""
    rule: str
    """The aggregation rule, one of `bift_ros.pofl.aggregate.RULES`."""
    architecture: str
    """The model's `module:factory`, or a name in the model registry."""
    local_epochs: int
    """Passes over the private dataset per iteration."""
    batch_size: int
    """Samples per optimiser step."""
    learning_rate: float
    """The optimiser's step size, above 0."""
    optimizer: str
    """The optimiser's name, such as `sgd` or `adam`."""

    def __post_init__(self) -> None:
        check_text("model_id", self.model_id, NAME)
        check_cid("init_cid", self.init_cid)
        check_integer("total_iter", self.total_iter, 1, MAX_ITERATIONS)
        if self.rule not in RULES:
            raise FieldError(f"rule: {self.rule!r:.60} is not one of {', '.join(RULES)}")
        check_text("architecture", self.architecture, FACTORY)
        check_integer("local_epochs", self.local_epochs, 1, 10_000)
        check_integer("batch_size", self.batch_size, 1, 2**20)
        check_float("learning_rate", self.learning_rate, 1e-12, 1e3)
        check_text("optimizer", self.optimizer, WORD)


class RoundKey(NamedTuple):
    """What a commit or update is for."""

    model_id: str
    iteration: int
    base: str
    """Of a commit the base block's hash in hex, of an update the base model's CID."""


@dataclass(frozen=True)
class Learning:
    """What a commit and an update say of the round that they are for."""

    KIND: ClassVar[str]

    model_id: str
    """The task."""
    iteration: int
    """The iteration that the update is for, counted from 1."""
    base_cid: str
    """The global model that the update was trained from."""

    @cached_property
    def round(self) -> RoundKey:
        """The round of updates."""
        return RoundKey(self.model_id, self.iteration, self.base_cid)


@dataclass(frozen=True)
class ModelCommit(Learning):
    """Binds a member to its update of an iteration before it shows it."""

    KIND: ClassVar[str] = "model_commit"

    base_block: bytes
    """Hash of the block that brought this model, 32 bytes: a commitment counts for one branch."""
    commitment: bytes
    """`commitment_of(cid, salt, address)`, 32 bytes."""

    def __post_init__(self) -> None:
        check_text("model_id", self.model_id, NAME)
        check_integer("iteration", self.iteration, 1, MAX_ITERATIONS)
        check_cid("base_cid", self.base_cid)
        check_bytes("base_block", self.base_block, HASH_BYTES, HASH_BYTES)
        check_bytes("commitment", self.commitment, HASH_BYTES, HASH_BYTES)

    @cached_property
    def round(self) -> RoundKey:
        """The round of commits."""
        return RoundKey(self.model_id, self.iteration, self.base_block.hex())


@dataclass(frozen=True)
class ModelUpdate(Learning):
    """Announces a local update by its CID (paper, section III: the upload step)."""

    KIND: ClassVar[str] = "model_update"

    cid: str
    """The update's file."""
    accuracy: float
    """What the local model reached on the member's own held-out share, in [0, 1]; a claim."""
    sample_count: int
    """How many samples it was trained on; a claim."""
    salt: bytes = b""
    """What the commitment was salted with; empty where there was none."""

    def __post_init__(self) -> None:
        check_text("model_id", self.model_id, NAME)
        check_integer("iteration", self.iteration, 1, MAX_ITERATIONS)
        check_cid("base_cid", self.base_cid)
        check_cid("cid", self.cid)
        check_float("accuracy", self.accuracy, 0.0, 1.0)
        check_integer("sample_count", self.sample_count, 1, MAX_SAMPLES)
        check_bytes("salt", self.salt, 0, MAX_SALT_BYTES)


@dataclass(frozen=True)
class MembershipVote:
    """A member's vote for another to join the consortium, or for a member to leave it."""

    KIND: ClassVar[str] = "membership_vote"

    action: str
    """`join` or `leave`."""
    name: str
    """What people call the vehicle; unique among the members."""
    public_key: bytes
    """Its Ed25519 key, 32 bytes."""

    def __post_init__(self) -> None:
        if self.action not in ("join", "leave"):
            raise FieldError(f"action: {self.action!r:.60} is neither join nor leave")
        Member(self.name, self.public_key)


@dataclass(frozen=True)
class ShareFile:
    """Lists a file that the sender serves to whoever asks."""

    KIND: ClassVar[str] = "share_file"

    name: str
    """What the sender calls it: a file name without a folder."""
    cid: str
    """The file."""
    size: int
    """Its bytes; a claim, like the description."""
    description: str
    """What is in it, in printable ASCII; may be empty."""

    def __post_init__(self) -> None:
        check_text("name", self.name, FILE_NAME)
        check_cid("cid", self.cid)
        check_integer("size", self.size, 0, MAX_FILE_BYTES)
        check_text("description", self.description, _DESCRIPTION)


@dataclass(frozen=True)
class WithdrawFile:
    """Takes a file off the sender's list; of a name that is not there it changes nothing."""

    KIND: ClassVar[str] = "withdraw_file"

    name: str
    """What the sender calls it."""

    def __post_init__(self) -> None:
        check_text("name", self.name, FILE_NAME)


@dataclass(frozen=True)
class CancelTask:
    """A member's vote for the active task to end."""

    KIND: ClassVar[str] = "cancel_task"

    model_id: str
    """The task."""

    def __post_init__(self) -> None:
        check_text("model_id", self.model_id, NAME)


@dataclass(frozen=True)
class DoubleVote:
    """Two votes that prove their member a liar (see `double_votes`)."""

    KIND: ClassVar[str] = "double_vote"

    first: bytes
    """The vote whose canonical bytes come first: evidence has one form."""
    second: bytes
    """The other's canonical bytes."""

    def __post_init__(self) -> None:
        check_bytes("first", self.first, 1, MAX_VOTE_BYTES)
        check_bytes("second", self.second, 1, MAX_VOTE_BYTES)
        if self.first >= self.second:
            raise FieldError("second: it does not come after the first")
        if named_sender(self.second, VOTE_ITEMS) != self.accused:
            raise FieldError("second: another member's")

    @property
    def accused(self) -> str:
        """The address that both votes name as their sender."""
        return named_sender(self.first, VOTE_ITEMS)


Payload = (
    Transfer
    | ProposeTask
    | ModelCommit
    | ModelUpdate
    | MembershipVote
    | ShareFile
    | WithdrawFile
    | GroupKey
    | CancelTask
    | DoubleVote
)
_KINDS: dict[str, type[Payload]] = {kind.KIND: kind for kind in get_args(Payload)}
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in _KINDS.values()}


def commitment_of(cid: str, salt: bytes, address: str) -> bytes:
    """Give `SHA256(CID ‖ salt ‖ address)`, 32 bytes.

    The address and the text of a CID have fixed lengths, so the join has one reading only.
    """
    return sha256(cid.encode() + salt + bytes.fromhex(address))


def parse_payload(data: bytes) -> Payload:
    """Read untrusted bytes; raises MalformedTransaction."""
    try:
        items = check_list("payload", decode(data))
        kind = _KINDS.get(items[0]) if items and isinstance(items[0], str) else None
        if kind is None:
            raise FieldError(f"kind: not one of {', '.join(_KINDS)}")
        check_list(kind.KIND, items, 1 + len(_FIELDS[kind]))
        return kind(*items[1:])
    except (EncodingError, FieldError) as error:
        raise MalformedTransaction(f"no payload: {error}") from error


def payload_bytes(payload: Payload) -> bytes:
    """Give the canonical bytes."""
    return encode([payload.KIND, *(getattr(payload, name) for name in _FIELDS[type(payload)])])
