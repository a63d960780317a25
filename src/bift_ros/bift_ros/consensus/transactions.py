"""What members say on the chain: eight kinds of payload in one signed envelope.

Canonical bytes of an envelope: the DAG-CBOR list `[sender, sequence, payload, signature]`, where
payload is a byte string, itself the DAG-CBOR list `[kind, field, …]` in the order of the fields
below. The signature covers `[tag, genesis hash, sender, sequence, payload]`, so it holds on one
chain only, and it can be checked before the payload is parsed (`read_transaction`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import ClassVar, NamedTuple, Protocol, get_args

from bift_ros.consensus.encoding import decode, encode, sha256
from bift_ros.consensus.exceptions import (
    BadSignature,
    EncodingError,
    FieldError,
    MalformedTransaction,
    UnknownSender,
)
from bift_ros.consensus.fields import (
    MAX_INTEGER,
    NAME,
    check_address,
    check_bytes,
    check_cid,
    check_float,
    check_integer,
    check_list,
    check_text,
)
from bift_ros.consensus.genesis import MAX_MEMBERS, Genesis, Member
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.shared_files import ShareFile, WithdrawFile
from bift_ros.identity.keys import SIGNATURE_BYTES, KeyPair, verify
from bift_ros.identity.sealing import COPY_BYTES
from bift_ros.pofl.aggregate import RULES

MAX_TRANSACTION_BYTES = 2048
"""Of all but a group key, which has a copy for each member."""
MAX_GROUP_KEY_BYTES = MAX_TRANSACTION_BYTES + COPY_BYTES * MAX_MEMBERS
MAX_ITERATIONS = 1_000_000
MAX_SAMPLES = 2**24
MAX_SALT_BYTES = 32
HASH_BYTES = 32
FACTORY = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
WORD = re.compile(r"[a-z0-9_]{1,32}")
_SIGNING_TAG = "bift transaction 1"
# Sender, sequence and payload within an envelope: what stands between the list's head and the
# signature with its own head. The signed bytes have them in the same form.
_SIGNED = slice(1, -SIGNATURE_BYTES - 2)


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
    """The task's name, used once on a chain."""
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
    """Binds a member to its update of an iteration before it shows it (DESIGN section 5)."""

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


Payload = (
    Transfer
    | ProposeTask
    | ModelCommit
    | ModelUpdate
    | MembershipVote
    | ShareFile
    | WithdrawFile
    | GroupKey
)
_KINDS: dict[str, type[Payload]] = {kind.KIND: kind for kind in get_args(Payload)}
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in _KINDS.values()}


def commitment_of(cid: str, salt: bytes, address: str) -> bytes:
    """Give `SHA256(CID ‖ salt ‖ address)` (DESIGN section 5), 32 bytes.

    The address and the text of a CID have fixed lengths, so the join has one reading only.
    """
    return sha256(cid.encode() + salt + bytes.fromhex(address))


@dataclass(frozen=True)
class Transaction:
    """A payload, who says it, and the proof."""

    sender: str
    """The member's address."""
    sequence: int
    """How many transactions of the sender's account stand before this one on the chain. Of a
    commit or update it is the iteration: those are no part of the account's order, so that one
    that comes too late holds up nothing, and one stays valid on every branch with its base."""
    payload: Payload
    """What is said."""
    signature: bytes
    """The sender's Ed25519 signature over `signing_bytes`, 64 bytes."""

    def __post_init__(self) -> None:
        check_address("sender", self.sender)
        check_integer("sequence", self.sequence, 0)
        if type(self.payload) not in _FIELDS:
            raise FieldError(f"payload: {type(self.payload).__name__} is no kind of payload")
        check_bytes("signature", self.signature, SIGNATURE_BYTES, SIGNATURE_BYTES)

    def signing_bytes(self, genesis_hash: bytes) -> bytes:
        """Give what the signature covers on the chain of `genesis_hash`."""
        return _signing_prefix(genesis_hash) + self._bytes[_SIGNED]

    def to_bytes(self) -> bytes:
        """Give the canonical bytes: at most MAX_TRANSACTION_BYTES, or MAX_GROUP_KEY_BYTES."""
        return self._bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Transaction:
        """Read untrusted bytes, without a look at the signature; raises MalformedTransaction."""
        sender, sequence, payload, signature = _parse_envelope(data)
        return _assemble(sender, sequence, payload, signature, data)

    @cached_property
    def hash(self) -> bytes:
        """The SHA-256 of the canonical bytes, signature included."""
        return sha256(self._bytes)

    @cached_property
    def _encoded_payload(self) -> bytes:
        return _payload_bytes(self.payload)

    @cached_property
    def _bytes(self) -> bytes:
        return encode([self.sender, self.sequence, self._encoded_payload, self.signature])


def sign_transaction(
    key: KeyPair, sequence: int, payload: Payload, genesis_hash: bytes
) -> Transaction:
    """Say `payload` as the owner of `key`; raises FieldError for a sequence out of bounds."""
    check_integer("sequence", sequence, 0)
    message = _signing_bytes(genesis_hash, key.address, sequence, _payload_bytes(payload))
    tx = Transaction(key.address, sequence, payload, key.sign(message))
    remember_signature(tx, key.public_key, genesis_hash)
    return tx


def read_transaction(
    data: bytes, genesis: Genesis, members: Mapping[str, Member] | None = None
) -> Transaction:
    """Read untrusted bytes and parse the payload only once the signature of a member holds.

    `members` is by address; None stands for the founding ones.

    Raises MalformedTransaction, UnknownSender or BadSignature.
    """
    sender, sequence, payload, signature = _parse_envelope(data)
    message = _signing_prefix(genesis.hash) + data[_SIGNED]
    key = _key_of(sender, genesis, genesis.by_address if members is None else members)
    if not signature_holds(key, signature, message):
        raise BadSignature(f"transaction {sequence} of {sender} is not signed by it")
    tx = _assemble(sender, sequence, payload, signature, data)
    remember_signature(tx, key, genesis.hash)
    return tx


def check_signature(tx: Transaction, genesis: Genesis, members: Mapping[str, Member]) -> None:
    """Refuse a transaction that none of `members` signed; raises UnknownSender or BadSignature."""
    key = _key_of(tx.sender, genesis, members)
    if not is_signed(tx, key, genesis.hash):
        raise BadSignature(f"transaction {tx.sequence} of {tx.sender} is not signed by it")


def _key_of(sender: str, genesis: Genesis, members: Mapping[str, Member]) -> bytes:
    member = members.get(sender)
    if member is None:
        raise UnknownSender(f"the sender {sender} is not a member of {genesis.name}")
    return member.public_key


def _assemble(
    sender: str, sequence: int, payload: bytes, signature: bytes, data: bytes
) -> Transaction:
    """Make the transaction of an envelope that `_parse_envelope` has read, and checked as well."""
    said = _parse_payload(payload)
    if len(data) > MAX_TRANSACTION_BYTES and not isinstance(said, GroupKey):
        raise MalformedTransaction(f"{len(data)} bytes, more than {MAX_TRANSACTION_BYTES}")
    tx = object.__new__(Transaction)  # `__post_init__` would do the same checks again
    tx.__dict__.update(
        sender=sender,
        sequence=sequence,
        payload=said,
        signature=signature,
        # Bytes that were read are canonical: encoding the fields again would give the same.
        _encoded_payload=payload,
        _bytes=data,
    )
    return tx


def _signing_bytes(genesis_hash: bytes, sender: str, sequence: int, payload: bytes) -> bytes:
    return _signing_prefix(genesis_hash) + encode([sender, sequence, payload])[1:]


@lru_cache(maxsize=16)
def _signing_prefix(genesis_hash: bytes) -> bytes:
    # A list of five, as `encode` writes it, up to where the transactions of a chain differ.
    return b"\x85" + encode([_SIGNING_TAG, genesis_hash])[1:]


@lru_cache(maxsize=8192)
def signature_holds(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether a key signed a message.

    Remembered, since a transaction is checked on arrival, when mining and in its block.
    """
    return verify(public_key, signature, message)


class Signed(Protocol):
    """What a member says to one chain, such as a transaction."""

    @property
    def signature(self) -> bytes:
        """The member's signature, 64 bytes."""
        ...

    def signing_bytes(self, genesis_hash: bytes) -> bytes:
        """Give what the signature covers on the chain of `genesis_hash`."""
        ...


def is_signed(signed: Signed, public_key: bytes, genesis_hash: bytes) -> bool:
    """Tell whether a key signed this for this chain; the object remembers that it did."""
    if signed.__dict__.get("_signed_by") == (public_key, genesis_hash):
        return True
    if not signature_holds(public_key, signed.signature, signed.signing_bytes(genesis_hash)):
        return False
    remember_signature(signed, public_key, genesis_hash)
    return True


def remember_signature(signed: Signed, public_key: bytes, genesis_hash: bytes) -> None:
    """Spare every later check of a signature that is known to hold. The object is immutable."""
    signed.__dict__["_signed_by"] = (public_key, genesis_hash)


def _parse_envelope(data: bytes) -> tuple[str, int, bytes, bytes]:
    if len(data) > MAX_GROUP_KEY_BYTES:
        raise MalformedTransaction(f"{len(data)} bytes, more than {MAX_GROUP_KEY_BYTES}")
    try:
        sender, sequence, payload, signature = check_list("transaction", decode(data), 4)
        check_address("sender", sender)
        check_integer("sequence", sequence, 0, MAX_INTEGER)
        check_bytes("payload", payload, 1, MAX_GROUP_KEY_BYTES)
        check_bytes("signature", signature, SIGNATURE_BYTES, SIGNATURE_BYTES)
    except (EncodingError, FieldError) as error:
        raise MalformedTransaction(f"no transaction: {error}") from error
    return sender, sequence, payload, signature


def _parse_payload(data: bytes) -> Payload:
    try:
        items = check_list("payload", decode(data))
        kind = _KINDS.get(items[0]) if items and isinstance(items[0], str) else None
        if kind is None:
            raise FieldError(f"kind: not one of {', '.join(_KINDS)}")
        check_list(kind.KIND, items, 1 + len(_FIELDS[kind]))
        return kind(*items[1:])
    except (EncodingError, FieldError) as error:
        raise MalformedTransaction(f"no payload: {error}") from error


def _payload_bytes(payload: Payload) -> bytes:
    return encode([payload.KIND, *(getattr(payload, name) for name in _FIELDS[type(payload)])])
