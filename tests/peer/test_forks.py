"""Two branches: everybody ends on the same one, and nothing is lost or done twice."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest

from bift_ros.consensus.payloads import Transfer
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import AnnounceTip, CancelTraining, Refused, TipChanged, Train
from bift_ros.peer.events import DatasetChanged, TipReceived
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of
from world.fleet import Fleet

CHECKER = PeerConfig(mine=False, train=False)
STUDENT = PeerConfig(mine=False)


def test_equal_weight_falls_to_the_lower_hash_whatever_the_order() -> None:
    world = LearningConsortium(5)
    task = world.task_block()
    state = world.apply(world.start, task)
    updates = world.updates(range(5), state)
    rivals = [world.model_block(state, updates, miner=i, later=100 + i) for i in range(3)]
    best = min(block.hash for block in rivals)
    for order in permutations([task, *rivals]):
        peer = PeerDriver(world, 0, CHECKER)
        peer.block(*order)
        assert peer.state.tip_hash == best


def test_more_learning_beats_more_blocks() -> None:
    world = LearningConsortium(5)
    task = world.task_block()
    state = world.apply(world.start, task)
    short = world.model_block(state, world.updates(range(4), state))
    long = world.model_block(state, world.updates(range(3), state))
    after = world.apply(state, long)
    rich = world.address(0)
    number = 0 if after.balances[rich] else 1
    transfer = world.sign(number, Transfer(world.address(4), 1), after)
    longer = world.block(after, [transfer])
    for blocks in permutations([short, long, longer]):
        peer = PeerDriver(world, 0, CHECKER)
        peer.block(task, *blocks)
        assert peer.state.tip_hash == short.hash


def test_a_reorganisation_says_what_it_left_and_returns_transactions() -> None:
    world = LearningConsortium(5)
    peer = PeerDriver(world, 0, CHECKER)
    peer.block(task := world.task_block())
    state = world.apply(world.start, task)
    light = world.model_block(state, world.updates(range(2), state))
    after = world.apply(state, light)
    giver = next(i for i in range(2) if after.balances[world.address(i)])
    gift = world.sign(giver, Transfer(world.address(4), 1), after)
    top = world.block(after, [gift])
    peer.block(light, top)
    heavy = world.model_block(state, world.updates([1 - giver, 2, 3, 4], state))
    effects = peer.block(heavy)
    (changed,) = of(TipChanged, effects)
    assert (changed.block, changed.removed) == (heavy, 2)
    (said,) = of(AnnounceTip, peer.wait(1_000))
    assert (said.tip.hash, said.tip.learning_weight) == (heavy.hash, 4)
    # On this branch the giver owns nothing: its gift waits. Its update came too late.
    assert len(of(Refused, effects)) == 1
    assert peer.peer.pending_transactions == 1

    # Back again where the left branch grows: what it holds is pending no more.
    more = world.apply(after, top)
    peer.block(world.model_block(more, world.updates(range(4), more)))
    assert peer.state.height == 4
    assert peer.peer.pending_transactions == 0


def test_training_goes_on_across_a_fork_with_the_same_global_model() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, STUDENT)
    peer.send(DatasetChanged(10))
    proposal = world.sign(0, world.proposal())
    blocks = [world.block(world.start, [proposal], miner=m, later=100 + m) for m in range(2)]
    high, low = sorted(blocks, key=lambda b: b.hash, reverse=True)
    assert len(of(Train, peer.block(high))) == 1
    effects = peer.block(low)
    (changed,) = of(TipChanged, effects)
    assert changed.removed == 1
    assert of(Train, effects) == of(CancelTraining, effects) == []


def test_training_starts_anew_across_a_fork_with_another_global_model() -> None:
    world = LearningConsortium(5)
    peer = PeerDriver(world, 0, STUDENT)
    peer.send(DatasetChanged(10))
    peer.block(task := world.task_block())
    state = world.apply(world.start, task)
    light = world.model_block(state, world.updates([1, 2], state))
    heavy = world.model_block(state, world.updates([1, 2, 3], state))
    (first,) = of(Train, peer.block(light))
    effects = peer.block(heavy)
    (second,) = of(Train, effects)
    assert len(of(CancelTraining, effects)) == 1
    assert first.request.iteration == second.request.iteration == 2
    assert first.request.base_cid != second.request.base_cid


def test_a_partitioned_fleet_becomes_one_again() -> None:
    """Both sides go on by themselves; healed, all stand on the side with more learning."""
    fleet = Fleet(5)
    fleet.propose(total_iter=6)
    fleet.run_until(lambda: fleet.all_reach(1))
    fleet.partition({0, 1})
    fleet.run_until(lambda: fleet.iterations(fleet[0]) >= 3 and fleet.iterations(fleet[4]) >= 3)
    assert fleet[0].state.tip_hash != fleet[4].state.tip_hash
    fleet.heal()
    fleet.run_until(lambda: fleet.all_reach(6))
    assert max(e.removed for v in fleet.vehicles[:2] for e in v.effects(TipChanged)) >= 2
    assert len({tuple(sorted(v.state.balances.items())) for v in fleet.vehicles}) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_network_that_loses_a_third_only_costs_time(seed: int) -> None:
    """All but tips may be lost: their topic is reliable and keeps the last."""
    fleet = Fleet(4)
    chance = Random(seed)

    def lose(sender: object, receiver: object, event: object) -> int | None:
        lost = chance.random() < 1 / 3 and not isinstance(event, TipReceived)
        return None if lost else chance.randrange(20, 400)

    fleet.link = lose
    fleet.propose(total_iter=3)
    fleet.run_until(lambda: fleet.all_reach(3), 600_000)
