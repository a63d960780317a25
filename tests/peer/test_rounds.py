"""When a miner starts on a model block, and what becomes of an update that is late or malformed."""

from __future__ import annotations

import numpy as np
import pytest

from bift_ros.consensus.blocks import MIN_NONCE
from bift_ros.consensus.payloads import ModelUpdate, Transfer
from bift_ros.consensus.proof_of_work import search
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import (
    BroadcastBlock,
    BroadcastTransaction,
    CancelTraining,
    Mine,
    Refused,
    StopMining,
    Train,
)
from bift_ros.peer.events import (
    DatasetChanged,
    NonceFound,
    SetMining,
    Submit,
    Trained,
    TrainingFailed,
)
from bift_ros.pofl.files import serialize_update
from bift_ros.simulation.world import INITIAL_MODEL, SPEC, train
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of
from world.fleet import Fleet

WAIT = 10_000
QUIET = PeerConfig(train=False, mine_turn_ms=0)


def bench(world: LearningConsortium, **changes: object) -> PeerDriver:
    """A miner that stands on block 1, where member 0 proposed a task."""
    peer = PeerDriver(world, 0, QUIET)
    peer.block(world.task_block(**changes))
    assert peer.state.task is not None
    return peer


def nonce(mine: Mine) -> NonceFound:
    header = search(mine.header, MIN_NONCE, 100_000)
    assert header is not None
    return NonceFound(header)


def mined(peer: PeerDriver, effects: list[object]) -> BroadcastBlock:
    """Let the search that began in `effects` succeed; the block that is sent."""
    (mine,) = of(Mine, effects)
    (sent,) = of(BroadcastBlock, peer.send(nonce(mine)))
    return sent


def test_a_miner_stops_and_starts_when_its_owner_says_so() -> None:
    world = LearningConsortium(4)
    peer = bench(world)
    (mine,) = of(Mine, peer.transaction(*world.updates(range(4), peer.state)))
    assert peer.peer.mines
    assert len(of(StopMining, peer.send(SetMining(False)))) == 1
    assert not peer.peer.mines
    assert of(BroadcastBlock, peer.send(nonce(mine))) == []  # found too late
    assert of(StopMining, peer.send(SetMining(False))) == []  # nothing is under way
    assert of(Mine, peer.wait(WAIT)) == []
    block = mined(peer, peer.send(SetMining(True))).block
    assert block.header.model_flag == 1


def test_what_waits_can_be_asked_for() -> None:
    world = LearningConsortium(4)
    peer = bench(world)
    (update,) = world.updates([1], peer.state)
    assert peer.peer.waiting_transaction(update.hash) is None
    peer.transaction(update)
    assert peer.peer.waiting_transaction(update.hash) is update


def test_all_updates_in_starts_a_block_at_once() -> None:
    world = LearningConsortium(4)
    peer = bench(world)
    *first, last = world.updates(range(4), peer.state)
    assert of(Mine, peer.transaction(*first)) == []
    block = mined(peer, peer.transaction(last)).block
    assert block.body.model_info is not None
    assert {t.sender for t in block.body.transactions} == {world.address(i) for i in range(4)}
    assert peer.state.tip_hash == block.hash


def test_miners_begin_one_after_the_other() -> None:
    world, turn = LearningConsortium(4), PeerConfig().mine_turn_ms
    begun = []
    for number in range(4):
        peer = PeerDriver(world, number, PeerConfig(train=False))
        peer.block(world.task_block())
        effects = peer.transaction(*world.updates(range(4), peer.state))
        waited = 0
        while not of(Mine, effects):
            waited += turn
            assert waited < 4 * turn, "its turn never came"
            effects = peer.wait(turn, step=turn)
        begun.append(waited)
    assert sorted(begun) == [0, turn, 2 * turn, 3 * turn]


def test_one_silent_vehicle_costs_the_wait_since_the_last_update() -> None:
    world = LearningConsortium(4)
    peer = bench(world)
    first, second, third = world.updates(range(3), peer.state)
    peer.transaction(first)
    peer.wait(WAIT // 2)
    peer.transaction(second)
    peer.wait(WAIT // 2)
    peer.transaction(third)
    assert of(Mine, peer.wait(WAIT - 250)) == []
    assert len(of(Mine, peer.wait(250))) == 1


def test_below_the_minimum_there_is_never_a_block() -> None:
    world = LearningConsortium(4, minimum_updates=3)
    peer = bench(world)
    peer.transaction(*world.updates(range(2), peer.state))
    assert of(Mine, peer.wait(5 * WAIT)) == []
    peer.transaction(world.update(2, peer.state))
    assert len(of(Mine, peer.wait(WAIT))) == 1


def test_an_update_whose_file_nobody_has_is_left_out_after_the_wait() -> None:
    world = LearningConsortium(4)
    peer = bench(world)
    updates = world.updates(range(4), peer.state)
    lost = updates[3].payload
    assert isinstance(lost, ModelUpdate)
    peer.hidden.add(lost.cid)
    assert of(Mine, peer.transaction(*updates)) == []
    block = mined(peer, peer.wait(WAIT)).block
    assert updates[3] not in block.body.transactions
    assert len(block.body.transactions) == 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: good[:-1],
        lambda good: good + b"\0\0",
        lambda good: b"",
        lambda good: b"garbage" * 100,
        lambda good: serialize_update(SPEC, np.zeros(SPEC.size, np.int16), 13),
        lambda good: INITIAL_MODEL,
    ],
    ids=["truncated", "too long", "empty", "garbage", "wrong exponent", "a model"],
)
def test_a_malformed_update_is_refused_and_the_rest_aggregated(spoil: object) -> None:
    world = LearningConsortium(4)
    peer = bench(world)
    good = world.updates(range(3), peer.state)
    bad = world.update(3, peer.state, spoil(train(INITIAL_MODEL, 3, 1)))  # type: ignore[operator]
    effects = peer.transaction(*good, bad)
    (refused,) = of(Refused, effects + peer.wait(WAIT - 250))
    assert (refused.what, refused.sender) == ("update", world.address(3))
    assert world.address(3) in refused.reason
    block = mined(peer, peer.wait(250)).block
    assert set(block.body.transactions) == set(good)
    assert peer.state.tip_hash == block.hash


def test_malformed_and_missing_updates_beyond_the_omission_share_do_not_stop_a_miner() -> None:
    """Two of four can't be aggregated: leaving them out is no choice of the miner."""
    world = LearningConsortium(4)
    peer = bench(world)
    good = world.updates(range(2), peer.state)
    bad = world.update(2, peer.state, b"garbage")
    lost = world.update(3, peer.state)
    assert isinstance(lost.payload, ModelUpdate)
    peer.hidden.add(lost.payload.cid)
    peer.transaction(*good, bad, lost)
    block = mined(peer, peer.wait(2 * WAIT)).block
    assert set(block.body.transactions) == set(good)
    assert peer.state.tip_hash == block.hash


def test_a_nonce_for_a_block_no_longer_wanted_is_ignored() -> None:
    world = LearningConsortium(3)
    peer = bench(world)
    updates = world.updates(range(3), peer.state)
    (mine,) = of(Mine, peer.transaction(*updates))
    peer.block(world.model_block(peer.state, updates, later=50))
    tip = peer.state.tip_hash
    assert of(BroadcastBlock, peer.send(nonce(mine))) == []
    assert peer.state.tip_hash == tip


def trainer(world: LearningConsortium) -> tuple[PeerDriver, Train]:
    """Member 1, who has begun to train for iteration 1."""
    peer = PeerDriver(world, 1, PeerConfig(mine=False))
    peer.send(DatasetChanged(100))
    (start,) = of(Train, peer.block(world.task_block()))
    return peer, start


def finish(peer: PeerDriver, start: Train, member: int = 1) -> list[object]:
    base = peer.world.files[start.request.base_cid]
    cid = peer.world.put(train(base, member, start.request.iteration))
    return list(peer.send(Trained(start.request, cid, 0.5, 100)))


def test_a_late_update_is_dropped_and_refused_by_others() -> None:
    world = LearningConsortium(4)
    peer, start = trainer(world)
    base = peer.state
    (sent,) = of(BroadcastTransaction, finish(peer, start))
    block = world.model_block(base, world.updates([0, 2, 3], base))
    effects = peer.block(block)
    assert peer.peer.pending_transactions == 0
    (again,) = of(Train, effects)
    assert again.request.iteration == 2
    (second,) = of(BroadcastTransaction, finish(peer, again))
    assert (sent.transaction.sequence, second.transaction.sequence) == (1, 2)

    # At another vehicle that has the block, the late one is refused.
    other = PeerDriver(world, 0, QUIET)
    other.block(world.task_block(), block)
    (refused,) = of(Refused, other.transaction(sent.transaction))
    assert (refused.what, refused.sender) == ("transaction", world.address(1))


def test_a_running_training_is_cancelled_by_the_next_model() -> None:
    world = LearningConsortium(4)
    peer, start = trainer(world)
    block = world.model_block(peer.state, world.updates([0, 2, 3], peer.state))
    effects = peer.block(block)
    kinds = [type(e) for e in effects if isinstance(e, Train | CancelTraining)]
    assert kinds == [CancelTraining, Train]
    # The cancelled one ends all the same: its result is for nobody.
    assert of(BroadcastTransaction, finish(peer, start)) == []


def test_a_stale_result_does_not_displace_a_good_one() -> None:
    world = LearningConsortium(4)
    peer, start = trainer(world)
    block = world.model_block(peer.state, world.updates([0, 2, 3], peer.state))
    (second,) = of(Train, peer.block(block))
    effects = finish(peer, second) + finish(peer, start)
    assert len(of(BroadcastTransaction, effects)) == 1
    assert of(Train, effects) == []


def test_after_a_failed_training_the_next_model_is_trained_from_at_once() -> None:
    world = LearningConsortium(4)
    peer, start = trainer(world)
    (refused,) = of(Refused, peer.send(TrainingFailed(start.request, "diverged")))
    assert refused.reason == "diverged"
    block = world.model_block(peer.state, world.updates([0, 2, 3], peer.state))
    assert len(of(Train, peer.block(block))) == 1


def test_a_copied_update_does_not_bring_its_author_down() -> None:
    """Another member announced this very CID first: ours is refused, and life goes on."""
    world = LearningConsortium(4)
    peer, start = trainer(world)
    data = train(INITIAL_MODEL, 1, 1)
    peer.transaction(world.update(2, peer.state, data))
    effects = finish(peer, start)
    assert of(BroadcastTransaction, effects) == []
    (refused,) = of(Refused, effects)
    assert refused.what == "update"
    assert of(Train, peer.wait(30_000)) == []


def test_own_pending_transactions_are_sent_again() -> None:
    world = LearningConsortium(4)
    peer, start = trainer(world)
    (sent,) = of(BroadcastTransaction, finish(peer, start))
    again = of(BroadcastTransaction, peer.wait(20_000))
    assert {e.transaction for e in again} == {sent.transaction}
    assert len(again) == 20_000 // PeerConfig().rebroadcast_ms
    # Once it is on the chain, no more.
    updates = [*world.updates([0, 2], peer.state), sent.transaction]
    peer.block(world.model_block(peer.state, updates))
    assert of(BroadcastTransaction, peer.wait(20_000)) == []


def test_a_transaction_that_a_reorganisation_brought_back_is_sent_again() -> None:
    """It stood on the branch that lost; a fleet on the other branch may never have heard it."""
    world = LearningConsortium(4)
    peer = PeerDriver(world, 1, QUIET)
    (sent,) = of(BroadcastTransaction, peer.send(Submit(world.proposal(model_id="mine"))))
    task = world.task_block(total_iter=1)
    mine = (world.block(peer.state, [sent.transaction], later=200 + i) for i in range(1_000))
    peer.block(next(block for block in mine if block.hash < task.hash))
    assert of(BroadcastTransaction, peer.wait(10_000)) == []

    # Heavier by learning, and its task is over, so that the proposal may stand again.
    after = world.apply(world.start, task)
    peer.block(task, world.model_block(after, world.updates([0, 2, 3], after)))
    assert peer.state.latest_task is not None
    assert peer.state.latest_task.model_id == "lights"
    again = of(BroadcastTransaction, peer.wait(10_000))
    assert {e.transaction for e in again} == {sent.transaction}


def test_a_submitted_transfer_is_mined_in_a_plain_block() -> None:
    fleet = Fleet(3)
    fleet.propose(total_iter=1)
    fleet.run_until(lambda: fleet.all_reach(1))
    rich = next(v for v in fleet.vehicles if v.state.balances[v.address] == 20)
    poor = next(v for v in fleet.vehicles if v is not rich)
    before = poor.state.balances[poor.address]
    rich.take(Submit(Transfer(poor.address, 5)))
    fleet.run_until(lambda: all(v.state.balances[rich.address] == 15 for v in fleet.vehicles))
    assert {v.state.balances[poor.address] for v in fleet.vehicles} == {before + 5}


def test_own_pending_transactions_survive_a_restart() -> None:
    """They are sent again, what the member can't pay for just now among them."""
    world = LearningConsortium(4)
    peer = PeerDriver(world, 1, PeerConfig(mine=False))
    peer.block(world.task_block(total_iter=2))
    base = peer.state
    light = world.model_block(base, world.updates([1, 2], base))
    peer.block(light)
    (sent,) = of(BroadcastTransaction, peer.send(Submit(Transfer(world.address(0), 5))))
    # A heavier branch, on which it owns nothing yet.
    peer.block(world.model_block(base, world.updates([0, 2, 3], base)))
    assert peer.state.balances[world.address(1)] == 0

    again = PeerDriver(world, 1, PeerConfig(mine=False), chain=peer.chain)
    again.now = peer.now
    assert again.peer.pending_transactions == 1
    resent = of(BroadcastTransaction, again.wait(6_000))
    assert {e.transaction for e in resent} == {sent.transaction}


def test_a_training_that_failed_is_tried_again_later_and_later_until_it_works() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, PeerConfig(mine=False))
    peer.send(DatasetChanged(10))
    (start,) = of(Train, peer.block(world.task_block()))
    pauses = []
    for reason in ("no space left on device", "no space left on device", "the worker was killed"):
        failed_at = peer.now
        effects = peer.send(TrainingFailed(start.request, reason))
        assert of(Train, effects) == []
        effects += peer.wait(10_000)
        (again,) = of(Train, effects)
        assert again.request == start.request
        pauses.append(next(at for at, e in peer.log if at > failed_at and isinstance(e, Train)))
        pauses[-1] -= failed_at
    assert pauses == [2_000, 4_000, 8_000]
    reasons = [e.reason for _, e in peer.log if isinstance(e, Refused)]
    assert reasons == ["no space left on device", "the worker was killed"]
