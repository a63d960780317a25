"""Where a member says that it stands, signed, with its newest votes.

Others so catch up, see what most members hold, and count votes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property

from bift_ros.consensus.encoding import decode, encode
from bift_ros.consensus.envelopes import holds, named_sender, signed_part
from bift_ros.consensus.exceptions import BadSignature, FieldError, UnknownSender
from bift_ros.consensus.fields import (
    check_address,
    check_bytes,
    check_integer,
    check_list,
    check_text,
)
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.payloads import HASH_BYTES, MAX_VOTE_BYTES
from bift_ros.consensus.transactions import Canonical, is_signed, remember_signature
from bift_ros.consensus.votes import Stage, Vote, read_vote
from bift_ros.identity.keys import SIGNATURE_BYTES, KeyPair

PROVIDER = re.compile(r"[!-~]{0,256}")
"""What a base URL looks like, at the most."""
MAX_TIP_BYTES = 956
_ITEMS = 10
# The signed list has the tag in place of the signature: as many items, and one head for both.
_SIGNING_PREFIX = encode([None] * _ITEMS)[:1] + encode("bift tip 1")


@dataclass(frozen=True)
class SignedTip(Canonical):
    """The head of a member's chain. It holds on one chain only, and a newer one replaces it.

    Canonical bytes: the list of the fields below.
    """

    sender: str
    """The member's address."""
    height: int
    """Height of its tip."""
    hash: bytes
    """Hash of its tip, 32 bytes."""
    learning_weight: int
    """Learning weight of its branch."""
    provider: str
    """Base URL where its files can be had; empty where there is none."""
    stamp: int
    """When it was said, milliseconds since the Unix epoch by the member's clock."""
    final_height: int
    """Height of its last final block."""
    prevote: bytes
    """Its newest vote of this stage, as bytes; empty where it has cast none."""
    precommit: bytes
    """Likewise."""
    signature: bytes
    """The member's Ed25519 signature over `signing_bytes`, 64 bytes."""

    def __post_init__(self) -> None:
        check_address("sender", self.sender)
        check_integer("height", self.height, 0)
        check_bytes("hash", self.hash, HASH_BYTES, HASH_BYTES)
        check_integer("learning_weight", self.learning_weight, 0)
        check_text("provider", self.provider, PROVIDER)
        check_integer("stamp", self.stamp, 0)
        check_integer("final_height", self.final_height, 0)
        check_bytes("prevote", self.prevote, 0, MAX_VOTE_BYTES)
        check_bytes("precommit", self.precommit, 0, MAX_VOTE_BYTES)
        check_bytes("signature", self.signature, SIGNATURE_BYTES, SIGNATURE_BYTES)

    def signing_bytes(self, genesis_hash: bytes) -> bytes:
        """Give what the signature covers on the chain of `genesis_hash`."""
        return genesis_hash + _SIGNING_PREFIX + signed_part(self._bytes)

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedTip:
        """Read untrusted bytes, without a look at the signature.

        Raises EncodingError or FieldError.
        """
        check_bytes("tip", data, 1, MAX_TIP_BYTES)
        return cls(*check_list("tip", decode(data), _ITEMS)).remember(data)

    @cached_property
    def _bytes(self) -> bytes:
        return encode([getattr(self, field.name) for field in fields(self)])


def sign_tip(
    key: KeyPair,
    genesis_hash: bytes,
    *,
    height: int,
    tip_hash: bytes,
    learning_weight: int,
    provider: str,
    stamp: int,
    final_height: int = 0,
    votes: Collection[Vote] = (),
) -> SignedTip:
    """Say as the owner of `key` where it stands, with its newest `votes`, one of a stage.

    Raises FieldError for a field out of bounds.
    """
    cast = {vote.stage: vote.to_bytes() for vote in votes}
    unsigned = SignedTip(
        key.address,
        height,
        tip_hash,
        learning_weight,
        provider,
        stamp,
        final_height,
        cast.get(Stage.PREVOTE, b""),
        cast.get(Stage.PRECOMMIT, b""),
        bytes(SIGNATURE_BYTES),
    )
    tip = replace(unsigned, signature=key.sign(unsigned.signing_bytes(genesis_hash)))
    remember_signature(tip, key.public_key, genesis_hash)
    tip.__dict__["_votes"] = (genesis_hash, tuple(votes))
    return tip


def read_votes(tip: SignedTip, genesis: Genesis, members: Mapping[str, Member]) -> tuple[Vote, ...]:
    """Read the votes in a checked tip, which are its sender's own.

    Raises FieldError, EncodingError, UnknownSender or BadSignature.
    """
    remembered: tuple[bytes, tuple[Vote, ...]] | None = tip.__dict__.get("_votes")
    if remembered is not None and remembered[0] == genesis.hash:
        return remembered[1]
    votes = []
    for stage, data in ((Stage.PREVOTE, tip.prevote), (Stage.PRECOMMIT, tip.precommit)):
        if data:
            vote = read_vote(data, genesis, members)
            if vote.sender != tip.sender or vote.stage is not stage:
                raise FieldError(f"{stage.name.lower()}: it is none of {tip.sender}")
            votes.append(vote)
    tip.__dict__["_votes"] = (genesis.hash, tuple(votes))
    return tuple(votes)


def named_member(data: bytes, genesis: Genesis, members: Mapping[str, Member]) -> Member:
    """Give whom a tip's untrusted bytes name as its sender, the rest left unread.

    Raises FieldError, EncodingError, or UnknownSender where it is none of `members`.
    """
    check_bytes("tip", data, 1, MAX_TIP_BYTES)
    sender = named_sender(data, _ITEMS)
    member = members.get(sender)
    if member is None:
        raise UnknownSender(f"{sender!r} is not a member of {genesis.name}")
    return member


def check_signed(data: bytes, member: Member, genesis: Genesis) -> None:
    """Refuse a tip's bytes that a member did not sign; raises BadSignature."""
    if not holds(member.public_key, data, genesis.hash + _SIGNING_PREFIX):
        raise BadSignature(f"a tip that names {member.address} is not signed by it")


def check_tip(tip: SignedTip, genesis: Genesis, members: Mapping[str, Member]) -> None:
    """Refuse what none of `members` signed; raises UnknownSender or BadSignature."""
    member = members.get(tip.sender)
    if member is None:
        raise UnknownSender(f"{tip.sender} is not a member of {genesis.name}")
    if not is_signed(tip, member.public_key, genesis.hash):
        raise BadSignature(f"the tip of {tip.sender} is not signed by it")
