"""Miners that sign more than one block on a parent, and machines that are fast."""

from __future__ import annotations

from bift_ros.consensus.blocks import MIN_NONCE
from bift_ros.consensus.payloads import Transfer
from bift_ros.consensus.proof_of_work import search
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import BroadcastBlock, EquivocationFound, Mine, Refused, StopMining
from bift_ros.peer.events import NonceFound
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of

CHECKER = PeerConfig(mine=False, train=False)


def test_two_blocks_on_one_parent_are_proof_and_a_third_is_disputed() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, CHECKER)
    blocks = [
        world.block(world.start, [world.sign(0, world.proposal())], miner=2, later=100 + i)
        for i in range(3)
    ]
    assert of(EquivocationFound, peer.block(blocks[0], blocks[0])) == []
    (found,) = of(EquivocationFound, peer.block(blocks[1]))
    assert {found.first.header.hash, found.second.header.hash} == {b.hash for b in blocks[:2]}
    # Both are judged alike: whoever knows both stands on the same one.
    assert peer.state.tip_hash == min(b.hash for b in blocks[:2])
    (refused,) = of(Refused, peer.block(blocks[2]))
    assert "two other blocks on the same parent" in refused.reason
    ((first, second),) = peer.chain.store.evidence()
    assert {first.header.hash, second.header.hash} == {b.hash for b in blocks[:2]}
    assert first.header.miner == world.address(2)
    # Members who never heard of the first two may all stand on the third.
    for member in (1, 2, 3):
        peer.send(world.tip(member, 1, blocks[2].hash, 0))
    peer.wait(8_000)
    assert peer.state.tip_hash == blocks[2].hash


def test_one_block_on_each_of_two_parents_is_no_crime() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, CHECKER)
    first = world.task_block()
    after = world.apply(world.start, first)
    rich = world.apply(after, model := world.model_block(after, world.updates(range(3), after)))
    giver = next(i for i in range(3) if rich.balances[world.address(i)])
    plain = world.block(rich, [world.sign(giver, Transfer(world.address(3), 1), rich)])
    assert of(EquivocationFound, peer.block(first, model, plain)) == []
    assert peer.chain.store.evidence() == []


def test_blocks_without_learning_do_not_stop_the_search_for_a_model() -> None:
    """A fast machine makes one after the other; the fleet's own block still outweighs them all."""
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, PeerConfig(train=False, mine_turn_ms=0))
    peer.block(world.task_block())
    state = peer.state
    first = world.model_block(state, world.updates(range(4), state))
    peer.block(first)
    rich = peer.state
    (mine, *_) = of(Mine, peer.transaction(*world.updates(range(4), rich)))
    giver = next(i for i in range(4) if rich.balances[world.address(i)] > 2)
    spam = world.block(
        rich, [world.sign(giver, Transfer(world.address(giver), 1), rich)], miner=3, later=500
    )
    effects = peer.block(spam)
    assert peer.state.tip_hash == spam.hash
    assert of(StopMining, effects) == []
    found = search(mine.header, MIN_NONCE, 100_000)
    assert found is not None
    (sent,) = of(BroadcastBlock, peer.send(NonceFound(found)))
    assert peer.state.tip_hash == sent.block.hash
    assert sent.block.header.previous_hash == rich.tip_hash
    assert peer.peer.pending_transactions == 1  # the transfer waits for another block
