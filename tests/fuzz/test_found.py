"""What fuzzing found in the peer, kept as tests of their own."""

from __future__ import annotations

from dataclasses import replace

from bift_ros.consensus.blocks import MAX_BLOCK_BYTES
from bift_ros.consensus.payloads import Transfer
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Refused
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of


def test_a_model_block_that_proposes_its_own_task_is_refused() -> None:
    """A liar moves honest members' words into one block on the genesis; it crashed the peer."""
    world = LearningConsortium(4, difficulty=0)
    first = world.task_block()
    state = world.apply(world.start, first)
    honest = world.model_block(state, world.updates(range(1, 4), state))
    words = [*first.body.transactions, *honest.body.transactions]
    liars = world.block(world.start, words, honest.body.model_info, miner=3)
    bench = PeerDriver(world, 0, PeerConfig(mine=False, train=False))
    refused = of(Refused, bench.block(liars))
    assert [effect.what for effect in refused] == ["block"]
    assert "no task" in refused[0].reason
    assert bench.state.height == 0


def test_an_oversize_block_does_not_wait_for_its_parent() -> None:
    """A member's own blocks of any size would fill the memory, `maximum_waiting_blocks` of them."""
    world = LearningConsortium(4, difficulty=0)
    nowhere = replace(world.start, tip_hash=bytes(32))
    gift = world.sign(3, Transfer(world.address(0), 1))
    many = [gift] * (MAX_BLOCK_BYTES // len(gift.to_bytes()) + 1)
    bench = PeerDriver(world, 0, PeerConfig(mine=False, train=False))
    refused = of(Refused, bench.block(world.block(nowhere, many, miner=3)))
    assert [effect.what for effect in refused] == ["block"]
    assert bench.peer.waiting_blocks == 0
