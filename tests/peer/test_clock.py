"""A clock that is set, by hours either way: timers go on, and stamps stay of use."""

from __future__ import annotations

import pytest

from bift_ros.chain.tips import SignedTip
from bift_ros.consensus.blocks import MIN_NONCE
from bift_ros.consensus.payloads import WithdrawFile
from bift_ros.consensus.proof_of_work import search
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import (
    AnnounceTip,
    BroadcastBlock,
    BroadcastTransaction,
    Mine,
    Refused,
    Train,
)
from bift_ros.peer.events import DatasetChanged, NonceFound
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of

HOURS = 3 * 3_600_000
STUDENT = PeerConfig(mine=False)


def stamps(peer: PeerDriver, ms: int) -> list[int]:
    tips: list[SignedTip] = [each.tip for each in of(AnnounceTip, peer.wait(ms))]
    return [tip.stamp for tip in tips]


@pytest.mark.parametrize("step", [-HOURS, HOURS])
def test_a_clock_that_is_set_by_hours_stops_nothing(step: int) -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, STUDENT)
    peer.send(DatasetChanged(10))
    before = stamps(peer, 10_000)
    peer.set_by = step
    after = stamps(peer, 10_000)
    assert len(after) >= len(before) - 1
    later = peer.now - world.genesis.timestamp
    task = world.block(world.start, [world.sign(1, world.proposal())], later=later)
    assert of(Train, peer.block(task))
    assert peer.state.tip_hash == task.hash


def test_a_miner_whose_clock_is_hours_behind_stamps_its_block_as_the_chain_goes() -> None:
    world = LearningConsortium(4, plain_interval_ms=1_000)
    peer = PeerDriver(world, 0, PeerConfig(train=False))
    first = world.block(world.start, [world.sign(1, world.proposal())], later=10_000)
    peer.wait(10_000)
    peer.block(first)
    peer.set_by = -HOURS
    effects = peer.transaction(world.update(1, peer.state), world.update(2, peer.state))
    effects += peer.wait(world.genesis.policy.update_wait_ms + 2_000)
    (mine, *_) = of(Mine, effects)
    assert 0 < mine.header.timestamp - first.header.timestamp <= 30_000


def test_a_tip_that_is_hours_ahead_does_not_silence_its_member() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, STUDENT)
    ahead = world.tip(1, 1, b"x" * 32, 5, "memory://1", stamp=peer.now + HOURS)
    effects = peer.send(ahead)
    assert [e.what for e in of(Refused, effects)] == ["tip"]
    peer.send(world.tip(1, 0, world.genesis.hash, 0, "memory://2", stamp=peer.now))
    assert peer.peer.providers == {world.address(1): "memory://2"}


def test_who_was_a_little_ahead_is_heard_at_once_again() -> None:
    peer = PeerDriver(LearningConsortium(4), 0, STUDENT)
    peer.set_by = 20_000
    again = PeerDriver(peer.world, 0, STUDENT, chain=peer.chain)
    again.set_by = 20_000
    (first,) = {e.tip.stamp for _, e in again.log if isinstance(e, AnnounceTip)}
    again.set_by = -5_000
    assert min(stamps(again, 10_000)) > first
    assert not of(BroadcastTransaction, [e for _, e in again.log])


def test_who_starts_hours_behind_takes_its_own_block() -> None:
    world = LearningConsortium(4, plain_interval_ms=0)
    config = PeerConfig(train=False)
    peer = PeerDriver(world, 0, config)
    peer.block(world.task_block())
    behind = PeerDriver(world, 0, config, chain=peer.chain, now=peer.now - HOURS)
    effects = behind.transaction(world.sign(1, WithdrawFile("notes"), behind.state))
    effects += behind.wait(2_000)
    header = of(Mine, effects)[-1].header
    found = search(header, MIN_NONCE, 10_000)
    assert found is not None
    (sent,) = of(BroadcastBlock, behind.send(NonceFound(found)))
    assert behind.state.tip_hash == sent.block.hash
