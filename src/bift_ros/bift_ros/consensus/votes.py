"""Votes that make a block final: what a member signs, and what two of its votes may not say.

Voting goes by rounds, numbered from 1; the genesis counts as justified in round 0. In a round a
member casts a **prevote** for one block, naming the justified round that it builds on, its source:
the block there is an ancestor of the one voted for, or that block itself. Once a quorum of members
has prevoted alike, the block is justified in this round and a member may **precommit** the same
statement; a quorum of precommits makes the block final (see `quorums`).

Stages and rounds are Tendermint's (Buchman, Kwon and Milosevic, 2018). The source is that of Casper
FFG (Buterin and Griffith, 2017): whoever forgets what it had precommitted shows it in the vote, so
every way to make two rivals final leaves two votes of one member as evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from bift_ros.consensus.encoding import decode, encode
from bift_ros.consensus.envelopes import holds, named_sender, signed_part
from bift_ros.consensus.exceptions import BadSignature, FieldError, UnknownSender
from bift_ros.consensus.fields import check_address, check_bytes, check_integer, check_list
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.payloads import HASH_BYTES, MAX_VOTE_BYTES, VOTE_ITEMS
from bift_ros.consensus.transactions import Canonical, remember_signature
from bift_ros.identity.keys import SIGNATURE_BYTES, KeyPair

# The signed list has the tag in place of the signature: as many items, and one head for both.
_SIGNING_PREFIX = encode([None] * VOTE_ITEMS)[:1] + encode("bift vote 1")


class Stage(Enum):
    """How far a member goes with a vote."""

    PREVOTE = 1
    """It stands on the block."""
    PRECOMMIT = 2
    """It has seen a quorum of prevotes for exactly this statement."""


@dataclass(frozen=True)
class Statement:
    """What a vote is for. Equal statements count together, others never do."""

    round: int
    """The round, from 1."""
    height: int
    """The block's height."""
    hash: bytes
    """The block's hash, 32 bytes."""
    state_digest: bytes
    """`state_digest` of the state after the block, 32 bytes: a quorum proves a snapshot too."""
    source_round: int
    """An earlier round in which a block was justified; 0 for the genesis."""
    source_hash: bytes
    """That block's hash: an ancestor of the block or the block itself, 32 bytes."""

    def __post_init__(self) -> None:
        check_integer("round", self.round, 1)
        check_integer("height", self.height, 1)
        check_bytes("hash", self.hash, HASH_BYTES, HASH_BYTES)
        check_bytes("state_digest", self.state_digest, HASH_BYTES, HASH_BYTES)
        check_integer("source_round", self.source_round, 0)
        check_bytes("source_hash", self.source_hash, HASH_BYTES, HASH_BYTES)
        if self.source_round >= self.round:
            raise FieldError(f"source_round: {self.source_round} is not before {self.round}")

    @property
    def items(self) -> list[int | bytes]:
        """Its fields in the order of the canonical bytes."""
        return [
            self.round, self.height, self.hash, self.state_digest,
            self.source_round, self.source_hash,
        ]  # fmt: skip


@dataclass(frozen=True)
class Vote(Canonical):
    """One member's vote.

    Canonical bytes: `[sender, stage, the statement's fields …, signature]`.
    """

    sender: str
    """The member's address."""
    stage: Stage
    """Prevote or precommit."""
    statement: Statement
    """What for."""
    signature: bytes
    """The member's Ed25519 signature over `signing_bytes`, 64 bytes."""

    def __post_init__(self) -> None:
        check_address("sender", self.sender)
        if not isinstance(self.stage, Stage):
            raise FieldError(f"stage: {self.stage!r:.60} is no stage")
        check_bytes("signature", self.signature, SIGNATURE_BYTES, SIGNATURE_BYTES)

    def signing_bytes(self, genesis_hash: bytes) -> bytes:
        """Give what the signature covers on the chain of `genesis_hash`."""
        return genesis_hash + _SIGNING_PREFIX + signed_part(self._bytes)

    @classmethod
    def from_bytes(cls, data: bytes) -> Vote:
        """Read untrusted bytes, without a look at the signature.

        Raises FieldError or EncodingError.
        """
        check_bytes("vote", data, 1, MAX_VOTE_BYTES)
        sender, stage, *statement, signature = check_list("vote", decode(data), VOTE_ITEMS)
        return cls(sender, stage_of(stage), Statement(*statement), signature).remember(data)

    @cached_property
    def _bytes(self) -> bytes:
        return encode([self.sender, self.stage.value, *self.statement.items, self.signature])


def stage_of(value: object) -> Stage:
    """Give the stage with this number; raises FieldError."""
    for stage in Stage:
        if type(value) is int and stage.value == value:
            return stage
    raise FieldError(f"stage: {value!r:.60} is neither 1 nor 2")


def sign_vote(key: KeyPair, genesis_hash: bytes, stage: Stage, statement: Statement) -> Vote:
    """Vote as the owner of `key`."""
    unsigned = Vote(key.address, stage, statement, bytes(SIGNATURE_BYTES))
    vote = Vote(key.address, stage, statement, key.sign(unsigned.signing_bytes(genesis_hash)))
    remember_signature(vote, key.public_key, genesis_hash)
    return vote


def read_vote(data: bytes, genesis: Genesis, members: Mapping[str, Member]) -> Vote:
    """Read untrusted bytes, parsed no further than its sender before its signature holds.

    Raises FieldError, EncodingError, UnknownSender where it is none of `members`, or BadSignature.
    """
    check_bytes("vote", data, 1, MAX_VOTE_BYTES)
    sender = named_sender(data, VOTE_ITEMS)
    member = members.get(sender)
    if member is None:
        raise UnknownSender(f"{sender!r} is not a member of {genesis.name}")
    if not holds(member.public_key, data, genesis.hash + _SIGNING_PREFIX):
        raise BadSignature(f"a vote that names {sender} is not signed by it")
    vote = Vote.from_bytes(data)
    remember_signature(vote, member.public_key, genesis.hash)
    return vote


def is_double_vote(first: Vote, second: Vote) -> bool:
    """Tell whether no honest member casts both; their order and signatures do not matter."""
    return first.sender == second.sender and contradict(
        first.stage, first.statement, second.stage, second.statement
    )


def contradict(stage: Stage, said: Statement, other_stage: Stage, other: Statement) -> bool:
    """Tell whether no honest member votes for both statements.

    Two prevotes of one round differ, or two precommits; or a prevote builds on a source from before
    an earlier round's precommit.
    """
    if stage is other_stage:
        return said.round == other.round and said != other
    precommit, prevote = (said, other) if stage is Stage.PRECOMMIT else (other, said)
    return prevote.source_round < precommit.round < prevote.round
