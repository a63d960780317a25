"""Blocks: a header that is hashed and mined, a body, and the miner's signature over the hash.

Canonical bytes of a block: the DAG-CBOR list `[header, body, signature]` of three byte strings.
The header is itself the list of its fields, the body the list `[transactions, model info]`.
So header, body and every transaction are IPLD blocks of their own: their hashes are CIDs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

from bift_ros.consensus.encoding import byte_strings, decode, encode
from bift_ros.consensus.exceptions import (
    BlockTooLarge,
    EncodingError,
    FieldError,
    MalformedBlock,
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
from bift_ros.consensus.genesis import MAX_DIFFICULTY, MAX_MEMBERS
from bift_ros.consensus.payloads import (
    HASH_BYTES,
    MAX_ITERATIONS,
    WORD,
    ModelCommit,
    ModelUpdate,
)
from bift_ros.consensus.transactions import Canonical, Hashed, Transaction
from bift_ros.identity.keys import SIGNATURE_BYTES, KeyPair

MAX_BLOCK_BYTES = 100_000
"""The bound on a block's canonical bytes (paper, section III: under 100 kB)."""
MAX_HEADER_BYTES = 141
MAX_SIGNED_HEADER_BYTES = MAX_HEADER_BYTES + SIGNATURE_BYTES + 5
MIN_NONCE = 2**32
MAX_NONCE = 2**64 - 1


@dataclass(frozen=True)
class Header(Hashed):
    """What is hashed. The nonce is last, so that the search rehashes only the tail."""

    height: int
    """The block's height; the genesis has 0."""
    timestamp: int
    """When the miner made it, milliseconds since the Unix epoch."""
    previous_hash: bytes
    """The parent's hash, 32 bytes."""
    body_hash: bytes
    """The SHA-256 of the body's canonical bytes."""
    model_flag: int
    """1 where the block ends an iteration with a new global model, else 0."""
    miner: str
    """The miner's address."""
    difficulty: int
    """How many leading zero bits the hash must have."""
    nonce: int
    """What the search varies, in [2^32, 2^64): always nine bytes, so the length stays."""

    def __post_init__(self) -> None:
        check_integer("height", self.height, 1)
        check_integer("timestamp", self.timestamp, 0)
        check_bytes("previous_hash", self.previous_hash, HASH_BYTES, HASH_BYTES)
        check_bytes("body_hash", self.body_hash, HASH_BYTES, HASH_BYTES)
        check_integer("model_flag", self.model_flag, 0, 1)
        check_address("miner", self.miner)
        check_integer("difficulty", self.difficulty, 0, MAX_DIFFICULTY)
        check_integer("nonce", self.nonce, MIN_NONCE, MAX_NONCE)

    @classmethod
    def from_bytes(cls, data: bytes) -> Header:
        """Read untrusted bytes; raises EncodingError or FieldError."""
        return cls(*check_list("header", decode(data), len(fields(cls)))).remember(data)

    @cached_property
    def _bytes(self) -> bytes:
        return encode([getattr(self, field.name) for field in fields(self)])


@dataclass(frozen=True)
class SignedHeader(Canonical):
    """A header and its miner's signature: what proves who made a block, without its body."""

    header: Header
    """What was hashed."""
    signature: bytes
    """The miner's Ed25519 signature over the hash, 64 bytes."""

    def __post_init__(self) -> None:
        check_bytes("signature", self.signature, SIGNATURE_BYTES, SIGNATURE_BYTES)

    @cached_property
    def _bytes(self) -> bytes:
        return encode([self.header.to_bytes(), self.signature])

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedHeader:
        """Read untrusted bytes without a look at hash or signature; raises MalformedBlock."""
        try:
            header, signature = check_list("signed header", byte_strings(data, 2), 2)
            check_bytes("header", header, 1, MAX_HEADER_BYTES)
            return cls(Header.from_bytes(header), signature)
        except (EncodingError, FieldError) as error:
            raise MalformedBlock(f"no signed header: {error}") from error


@dataclass(frozen=True)
class ModelInfo:
    """The outcome of an iteration (paper, table II, and what checking needs)."""

    model_id: str
    """The task."""
    init_cid: str
    """The task's initial global model."""
    global_cid: str
    """The new global model."""
    total_iter: int
    """How many iterations the task runs."""
    current_iter: int
    """The iteration that this block ends, counted from 1."""
    from_addr: str
    """The task's proposer."""
    accuracy: float
    """The lower median of the accuracies that the contributors claim, so that each can check it."""
    rule: str
    """The aggregation rule that was applied; of a mixed rule, the one drawn."""
    contributors: tuple[str, ...]
    """The rewarded members' addresses, sorted."""

    def __post_init__(self) -> None:
        check_text("model_id", self.model_id, NAME)
        check_cid("init_cid", self.init_cid)
        check_cid("global_cid", self.global_cid)
        check_integer("total_iter", self.total_iter, 1, MAX_ITERATIONS)
        check_integer("current_iter", self.current_iter, 1, self.total_iter)
        check_address("from_addr", self.from_addr)
        check_float("accuracy", self.accuracy, 0.0, 1.0)
        check_text("rule", self.rule, WORD)
        check_integer("the number of contributors", len(self.contributors), 1, MAX_MEMBERS)
        for address in self.contributors:
            check_address("contributors", address)
        if list(self.contributors) != sorted(set(self.contributors)):
            raise FieldError("contributors: not sorted, or one is named twice")


def lower_median(values: Sequence[float]) -> float:
    """Give the middle value, and of two middle values the lower: always one of `values`."""
    return sorted(values)[(len(values) - 1) // 2]


@dataclass(frozen=True)
class Body(Hashed):
    """What a block carries."""

    transactions: tuple[Transaction, ...]
    """In the order in which they apply."""
    model_info: ModelInfo | None = None
    """Set exactly where the header's model flag is."""

    @classmethod
    def from_bytes(cls, data: bytes) -> Body:
        """Read untrusted bytes; raises EncodingError, FieldError or MalformedTransaction."""
        transactions, info = check_list("body", decode(data), 2)
        model_info = None
        if info is not None:
            values = check_list("model_info", info, len(fields(ModelInfo)))
            values[-1] = tuple(check_list("contributors", values[-1]))
            model_info = ModelInfo(*values)
        body = cls(
            tuple(
                Transaction.from_bytes(_byte_string("transaction", item))
                for item in check_list("transactions", transactions)
            ),
            model_info,
        )
        return body.remember(data)

    @cached_property
    def update_cids(self) -> tuple[str, ...]:
        """The files of its updates."""
        said = (tx.payload for tx in self.transactions)
        return tuple(each.cid for each in said if isinstance(each, ModelUpdate))

    @cached_property
    def _bytes(self) -> bytes:
        info = None
        if self.model_info is not None:
            *items, contributors = (getattr(self.model_info, f.name) for f in fields(ModelInfo))
            info = [*items, list(contributors)]
        return encode([[tx.to_bytes() for tx in self.transactions], info])


@dataclass(frozen=True)
class Block(Canonical):
    """A header, its body, and the proof that the miner made it."""

    header: Header
    """What is hashed."""
    body: Body
    """What it carries."""
    signature: bytes
    """The miner's Ed25519 signature over the hash, 64 bytes."""

    @property
    def hash(self) -> bytes:
        """The header's hash."""
        return self.header.hash

    @cached_property
    def learning(self) -> type[ModelCommit] | type[ModelUpdate] | None:
        """What a block ends: an iteration (model block), its commits (commit block) or nothing."""
        if self.header.model_flag:
            return ModelUpdate
        said = (tx.payload for tx in self.body.transactions)
        return ModelCommit if any(isinstance(each, ModelCommit) for each in said) else None

    @cached_property
    def signed_header(self) -> SignedHeader:
        """The block without its body."""
        return SignedHeader(self.header, self.signature)

    @classmethod
    def from_bytes(cls, data: bytes) -> Block:
        """Read untrusted bytes without a look at hash or signature; raises MalformedBlock."""
        header, body, signature = parse_envelope(data)
        return cls(header, parse_body(body), signature).remember(data)

    @cached_property
    def _bytes(self) -> bytes:
        return encode([self.header.to_bytes(), self.body.to_bytes(), self.signature])


def sign_block(key: KeyPair, header: Header, body: Body) -> Block:
    """Finish a mined header as its miner."""
    return Block(header, body, key.sign(header.hash))


def parse_envelope(data: bytes) -> tuple[Header, bytes, bytes]:
    """Split a block's bytes into header, body bytes and signature, the body left unread."""
    if len(data) > MAX_BLOCK_BYTES:
        raise BlockTooLarge(f"{len(data)} bytes, more than {MAX_BLOCK_BYTES}")
    try:
        header, body, signature = check_list("block", byte_strings(data, 3), 3)
        check_bytes("signature", signature, SIGNATURE_BYTES, SIGNATURE_BYTES)
        check_bytes("header", header, 1, MAX_HEADER_BYTES)
        return Header.from_bytes(header), body, signature
    except (EncodingError, FieldError) as error:
        raise MalformedBlock(f"no block: {error}") from error


def parse_body(data: bytes) -> Body:
    """Read a body's bytes; raises MalformedBlock."""
    try:
        return Body.from_bytes(data)
    except (EncodingError, FieldError, MalformedTransaction) as error:
        raise MalformedBlock(f"no body: {error}") from error


def _byte_string(field: str, value: object) -> bytes:
    check_bytes(field, value, 0, MAX_BLOCK_BYTES)
    assert isinstance(value, bytes)
    return value
