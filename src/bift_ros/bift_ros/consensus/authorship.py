"""Who made a block: read it only as far as proof of work and signature have been checked."""

from __future__ import annotations

from collections.abc import Mapping

from bift_ros.consensus.blocks import Block, Header, parse_body, parse_envelope
from bift_ros.consensus.encoding import sha256
from bift_ros.consensus.exceptions import (
    BadBlockSignature,
    BodyMismatch,
    MissingWork,
    UnknownMiner,
)
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.proof_of_work import meets
from bift_ros.consensus.transactions import signature_holds


def read_block(data: bytes, genesis: Genesis, members: Mapping[str, Member] | None = None) -> Block:
    """Read untrusted bytes and parse the body only once work, miner and signature hold.

    Raises MalformedBlock, BlockTooLarge, MissingWork, UnknownMiner, BadBlockSignature or
    BodyMismatch. What the block says is not judged here: see `transition`.
    """
    header, body, signature = parse_envelope(data)
    check_authorship(header, signature, genesis, members)
    check_body_hash(header, body)
    return Block(header, parse_body(body), signature).remember(data)


def read_anonymous_block(data: bytes) -> Block:
    """Read a block's bytes without a genesis: it is whole, whoever made it.

    Raises MalformedBlock, BlockTooLarge or BodyMismatch.
    """
    header, body, signature = parse_envelope(data)
    check_body_hash(header, body)
    return Block(header, parse_body(body), signature).remember(data)


def check_authorship(
    header: Header,
    signature: bytes,
    genesis: Genesis,
    members: Mapping[str, Member] | None = None,
) -> None:
    """Refuse a header without the policy's work or without a member's signature.

    `members` is by address; None stands for the founding ones.
    """
    check_work(header, genesis)
    member = miner_of(header, genesis, genesis.by_address if members is None else members)
    check_miner_signature(header, signature, member)


def check_work(header: Header, genesis: Genesis) -> None:
    """Refuse a header without the policy's work; raises MissingWork."""
    if not meets(header.hash, genesis.policy.difficulty):
        raise MissingWork(
            f"the hash {header.hash.hex()[:16]}… has fewer than {genesis.policy.difficulty} "
            "leading zero bits"
        )


def miner_of(header: Header, genesis: Genesis, members: Mapping[str, Member]) -> Member:
    """Give the member that a header names as its miner; raises UnknownMiner."""
    member = members.get(header.miner)
    if member is None:
        raise UnknownMiner(f"the miner {header.miner} is not a member of {genesis.name}")
    return member


def check_miner_signature(header: Header, signature: bytes, member: Member) -> None:
    """Refuse a header that its miner did not sign; raises BadBlockSignature."""
    if not signature_holds(member.public_key, signature, header.hash):
        raise BadBlockSignature(f"the block is not signed by its miner {header.miner}")


def check_body_hash(header: Header, body: bytes) -> None:
    """Refuse another body than the one that the header was made for; raises BodyMismatch."""
    if sha256(body) != header.body_hash:
        raise BodyMismatch("the body is not the one that the header names")
