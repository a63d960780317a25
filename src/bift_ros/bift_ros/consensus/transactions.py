"""What members say on the chain, each in a signed envelope.

Canonical bytes of an envelope: the DAG-CBOR list `[sender, sequence, payload, signature]`, where
payload is a byte string (see `payloads`). The signature covers `[tag, genesis hash, sender,
sequence, payload]`, so it holds on one chain only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol, TypeVar

from bift_ros.consensus.encoding import decode, encode, sha256
from bift_ros.consensus.envelopes import holds, named_sender, signed_part
from bift_ros.consensus.exceptions import (
    BadSignature,
    EncodingError,
    FieldError,
    MalformedTransaction,
    UnknownSender,
)
from bift_ros.consensus.fields import (
    MAX_INTEGER,
    check_address,
    check_bytes,
    check_integer,
    check_list,
)
from bift_ros.consensus.genesis import MAX_MEMBERS, Genesis, Member
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.payloads import Payload, parse_payload, payload_bytes
from bift_ros.identity.cores import call_each
from bift_ros.identity.keys import SIGNATURE_BYTES, KeyPair, verify
from bift_ros.identity.sealing import COPY_BYTES

MAX_TRANSACTION_BYTES = 2048
"""Of all but a group key, which has a copy for each member."""
MAX_GROUP_KEY_BYTES = MAX_TRANSACTION_BYTES + COPY_BYTES * MAX_MEMBERS
_SIGNING_TAG = "bift transaction 1"
_ITEMS = 4
"""Of an envelope: sender, sequence, payload, signature. The signed bytes have the first three too,
in the same form."""

_Kept = TypeVar("_Kept", bound="Canonical")


class Canonical:
    """What has canonical bytes: encoded once, or kept as they were read."""

    @cached_property
    def _bytes(self) -> bytes:
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Give the canonical bytes."""
        return self._bytes

    def remember(self: _Kept, data: bytes) -> _Kept:
        """Keep the bytes that this was read from; encoding would give the same."""
        self.__dict__["_bytes"] = data
        return self


class Hashed(Canonical):
    """What has a name of its own."""

    @cached_property
    def hash(self) -> bytes:
        """The SHA-256 of the canonical bytes."""
        return sha256(self._bytes)


@dataclass(frozen=True)
class Transaction(Hashed):
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
        if not isinstance(self.payload, Payload):
            raise FieldError(f"payload: {type(self.payload).__name__} is no kind of payload")
        check_bytes("signature", self.signature, SIGNATURE_BYTES, SIGNATURE_BYTES)

    def signing_bytes(self, genesis_hash: bytes) -> bytes:
        """Give what the signature covers on the chain of `genesis_hash`."""
        return _signing_prefix(genesis_hash) + signed_part(self._bytes)

    @classmethod
    def from_bytes(cls, data: bytes) -> Transaction:
        """Read untrusted bytes, without a look at the signature; raises MalformedTransaction."""
        sender, sequence, payload, signature = _parse_envelope(data)
        said = parse_payload(payload)
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

    @cached_property
    def _encoded_payload(self) -> bytes:
        return payload_bytes(self.payload)

    @cached_property
    def _bytes(self) -> bytes:
        return encode([self.sender, self.sequence, self._encoded_payload, self.signature])


def named_member(data: bytes, genesis: Genesis, members: Mapping[str, Member]) -> Member:
    """Give whom a transaction's untrusted bytes name as its sender, the rest left unread.

    Raises MalformedTransaction, or UnknownSender where it is none of `members`.
    """
    if len(data) > MAX_GROUP_KEY_BYTES:
        raise MalformedTransaction(f"{len(data)} bytes, more than {MAX_GROUP_KEY_BYTES}")
    try:
        sender = named_sender(data, _ITEMS)
    except EncodingError as error:
        raise MalformedTransaction(f"no transaction: {error}") from error
    member = members.get(sender)
    if member is None:
        raise UnknownSender(f"the sender {sender!r} is not a member of {genesis.name}")
    return member


def check_signed(data: bytes, member: Member, genesis: Genesis) -> None:
    """Refuse a transaction's bytes that a member did not sign; raises BadSignature."""
    if not holds(member.public_key, data, _signing_prefix(genesis.hash)):
        raise BadSignature(f"a transaction that names {member.address} is not signed by it")


def read_transaction(data: bytes, genesis: Genesis, members: Mapping[str, Member]) -> Transaction:
    """Read untrusted bytes: nothing is decoded before the signature of one of `members` holds.

    It is remembered, so that no later check of the transaction repeats it. Raises
    MalformedTransaction, UnknownSender or BadSignature.
    """
    member = named_member(data, genesis, members)
    check_signed(data, member, genesis)
    transaction = Transaction.from_bytes(data)
    remember_signature(transaction, member.public_key, genesis.hash)
    return transaction


def sign_transaction(
    key: KeyPair, sequence: int, payload: Payload, genesis_hash: bytes
) -> Transaction:
    """Say `payload` as the owner of `key`; raises FieldError for a sequence out of bounds."""
    check_integer("sequence", sequence, 0)
    message = _signing_bytes(genesis_hash, key.address, sequence, payload_bytes(payload))
    tx = Transaction(key.address, sequence, payload, key.sign(message))
    remember_signature(tx, key.public_key, genesis_hash)
    return tx


def check_signature(tx: Transaction, genesis: Genesis, members: Mapping[str, Member]) -> None:
    """Refuse a transaction that none of `members` signed; raises UnknownSender or BadSignature."""
    member = members.get(tx.sender)
    if member is None:
        raise UnknownSender(f"the sender {tx.sender} is not a member of {genesis.name}")
    if not is_signed(tx, member.public_key, genesis.hash):
        raise BadSignature(f"transaction {tx.sequence} of {tx.sender} is not signed by it")


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


def check_together(
    transactions: Sequence[Transaction], genesis: Genesis, members: Mapping[str, Member]
) -> None:
    """Check many signatures at once, so that those that hold are remembered.

    It refuses nothing: `check_signature` tells which one does not hold, and why.
    """
    unchecked = [
        (tx, members.get(tx.sender)) for tx in transactions if "_signed_by" not in vars(tx)
    ]
    call_each(is_signed, [(tx, m.public_key, genesis.hash) for tx, m in unchecked if m is not None])


def remember_signature(signed: Signed, public_key: bytes, genesis_hash: bytes) -> None:
    """Spare every later check of a signature that is known to hold. The object is immutable."""
    signed.__dict__["_signed_by"] = (public_key, genesis_hash)


def _parse_envelope(data: bytes) -> tuple[str, int, bytes, bytes]:
    if len(data) > MAX_GROUP_KEY_BYTES:
        raise MalformedTransaction(f"{len(data)} bytes, more than {MAX_GROUP_KEY_BYTES}")
    try:
        sender, sequence, payload, signature = check_list("transaction", decode(data), _ITEMS)
        check_address("sender", sender)
        check_integer("sequence", sequence, 0, MAX_INTEGER)
        check_bytes("payload", payload, 1, MAX_GROUP_KEY_BYTES)
        check_bytes("signature", signature, SIGNATURE_BYTES, SIGNATURE_BYTES)
    except (EncodingError, FieldError) as error:
        raise MalformedTransaction(f"no transaction: {error}") from error
    return sender, sequence, payload, signature
