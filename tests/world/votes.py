"""Quorums made by hand."""

from __future__ import annotations

from collections.abc import Iterable

from bift_ros.chain.blockchain import Blockchain
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.state_bytes import state_digest
from bift_ros.consensus.votes import Stage, Statement, sign_vote
from bift_ros.simulation.consortium import Consortium


def statement(
    chain: Blockchain, block_hash: bytes, round_: int = 1, source: tuple[int, bytes] | None = None
) -> Statement:
    """What an honest member says of a block of the chain; by default from the genesis."""
    state = chain.state_at(block_hash)
    source = source or (0, chain.genesis.hash)
    return Statement(round_, state.height, block_hash, state_digest(state), *source)


def quorum(world: Consortium, stage: Stage, said: Statement, voters: Iterable[int]) -> Quorum:
    """The votes of some members for one statement."""
    keys = [world.keys[voter] for voter in voters]
    return Quorum.of(sign_vote(key, world.genesis.hash, stage, said) for key in keys)
