"""What a vehicle's commitment binds it to, and what most members' tips decide."""

from __future__ import annotations

from bift_ros.consensus.blocks import Block
from bift_ros.consensus.payloads import (
    ModelCommit,
    ModelUpdate,
    commitment_of,
)
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import Transaction
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import BroadcastTransaction, TipChanged, Train
from bift_ros.peer.events import DatasetChanged, Trained
from bift_ros.simulation.world import train
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of

STUDENT = PeerConfig(mine=False)


def commit(world: LearningConsortium, member: int, state: State) -> Transaction:
    update = world.update(member, state).payload
    assert isinstance(update, ModelUpdate)
    assert state.task is not None
    seal = commitment_of(update.cid, update.salt, world.address(member))
    base = (update.model_id, update.iteration, update.base_cid, state.task.base_block)
    return world.sign(member, ModelCommit(*base, seal), state)


def proposals(world: LearningConsortium) -> tuple[Block, Block]:
    """Two rival first blocks with one proposal, that of the higher hash first."""
    tx = world.sign(0, world.proposal())
    blocks = [world.block(world.start, [tx], miner=m, later=100 + m) for m in (1, 2)]
    low, high = sorted(blocks, key=lambda block: block.hash)
    return high, low


def finish(peer: PeerDriver, start: Train) -> list[Transaction]:
    request = start.request
    cid = peer.world.put(train(peer.world.files[request.base_cid], 1, request.iteration))
    effects = peer.send(Trained(request, cid, 0.5, 100))
    return [e.transaction for e in of(BroadcastTransaction, effects)]


def test_a_commitment_is_not_given_to_two_branches_until_a_dispute_must_be_over() -> None:
    world = LearningConsortium(4, mode="bift")
    peer = PeerDriver(world, 1, STUDENT)
    high, low = proposals(world)
    peer.send(DatasetChanged(10))
    (start,) = of(Train, peer.block(high))
    (first,) = finish(peer, start)
    assert isinstance(first.payload, ModelCommit)
    assert first.payload.base_block == high.hash
    effects = peer.block(low)  # the same model, so the training is not done again
    assert of(Train, effects) == []
    assert peer.state.tip_hash == low.hash

    def said(ms: int) -> set[bytes]:
        sent = (e.transaction.payload for e in of(BroadcastTransaction, peer.wait(ms)))
        return {p.base_block for p in sent if isinstance(p, ModelCommit)}

    assert low.hash not in said(STUDENT.dispute_ms - 2_000)
    assert low.hash in said(4_000)


def test_a_vote_is_remembered_over_a_restart() -> None:
    world = LearningConsortium(4, mode="bift")
    peer = PeerDriver(world, 1, STUDENT)
    high, low = proposals(world)
    peer.send(DatasetChanged(10))
    (start,) = of(Train, peer.block(high))
    finish(peer, start)
    again = PeerDriver(world, 1, STUDENT, chain=peer.chain)
    again.now = peer.now
    effects = again.block(low) + again.wait(STUDENT.dispute_ms - 5_000)
    commits = [e.transaction.payload for e in of(BroadcastTransaction, effects)]
    assert {p.base_block for p in commits if isinstance(p, ModelCommit)} <= {high.hash}
    assert of(Train, effects) == []  # what was trained before the restart is kept


def test_a_tie_ends_where_most_members_stand() -> None:
    world = LearningConsortium(5)
    peer = PeerDriver(world, 0, PeerConfig(mine=False, train=False))
    high, low = proposals(world)
    peer.block(high, low)
    assert peer.state.tip_hash == low.hash
    for member in (1, 2):
        peer.send(world.tip(member, 1, high.hash, 0))
    peer.wait(10_000)
    assert peer.state.tip_hash == low.hash
    peer.send(world.tip(3, 1, high.hash, 0))
    assert of(TipChanged, peer.wait(2_000)) == []  # tips may be a little old
    (changed,) = of(TipChanged, peer.wait(2_000))
    assert (changed.block, changed.removed) == (high, 1)
    assert peer.chain.store.tip == high.hash


def test_a_commitment_counts_on_one_branch_only() -> None:
    world = LearningConsortium(4, mode="bift")
    high, low = proposals(world)
    here, there = world.apply(world.start, high), world.apply(world.start, low)
    peer = PeerDriver(world, 0, PeerConfig(mine=False, train=False))
    peer.block(high)
    commits = [commit(world, member, there) for member in range(4)]
    peer.transaction(*commits)  # held: that branch may win
    assert peer.peer.pending_transactions == 4
    refused = peer.block(world.block(here, commits))
    assert peer.state.tip_hash == high.hash
    assert "another branch with the same model" in str(refused)
