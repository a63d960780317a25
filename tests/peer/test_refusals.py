"""What a peer does not take, from whom, and that it says so."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from bift_ros.consensus.blocks import Block
from bift_ros.consensus.payloads import ModelUpdate, Transfer
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.consensus.votes import Stage
from bift_ros.identity.keys import KeyPair
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Effect, Fetch, Put, Refused, RequestHeaders
from bift_ros.peer.events import BlockReceived, TipReceived, TransactionReceived
from bift_ros.simulation.world import INITIAL_MODEL
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of
from world.fleet import Fleet
from world.votes import quorum, statement

CHECKER = PeerConfig(mine=False, train=False)
STRANGER = KeyPair.from_seed(b"a stranger's seed of 32 bytes...")


@pytest.fixture
def world() -> LearningConsortium:
    return LearningConsortium(5)


@pytest.fixture
def peer(world: LearningConsortium) -> PeerDriver:
    """A checker on block 1, with a task."""
    bench = PeerDriver(world, 0, CHECKER)
    bench.block(world.task_block())
    return bench


def refusal(effects: list[Effect]) -> Refused:
    (found,) = of(Refused, effects)
    return found  # type: ignore[no-any-return]


# --- transactions ---------------------------------------------------------------------------


def by_a_stranger(world: LearningConsortium, state: State) -> Transaction:
    return sign_transaction(STRANGER, 0, Transfer(world.address(0), 1), world.genesis.hash)


def with_a_bad_signature(world: LearningConsortium, state: State) -> Transaction:
    return replace(world.update(1, state), signature=bytes(64))


def with_anothers_signature(world: LearningConsortium, state: State) -> Transaction:
    return replace(world.update(1, state), sender=world.address(2))


def of_another_chain(world: LearningConsortium, state: State) -> Transaction:
    other = LearningConsortium(5, reward=7)
    return sign_transaction(world.keys[1], 0, world.update(1, state).payload, other.genesis.hash)


def of_more_than_it_owns(world: LearningConsortium, state: State) -> Transaction:
    return world.sign(1, Transfer(world.address(2), 1), state)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (by_a_stranger, "not a member"),
        (with_a_bad_signature, "not signed"),
        (with_anothers_signature, "not signed"),
        (of_another_chain, "not signed"),
        (of_more_than_it_owns, "owns 0"),
    ],
)
def test_transactions_are_refused_with_the_reason(
    world: LearningConsortium, peer: PeerDriver, make: Any, reason: str
) -> None:
    transaction = make(world, peer.state)
    refused = refusal(peer.transaction(transaction, transaction))  # said once
    assert (refused.what, refused.sender) == ("transaction", transaction.sender)
    assert reason in refused.reason
    assert peer.peer.pending_transactions == 0


def test_a_replayed_transaction_is_silently_ignored(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    updates = world.updates(range(3), peer.state)
    peer.block(world.model_block(peer.state, updates))
    assert peer.transaction(*updates) == []
    assert peer.peer.pending_transactions == 0


def test_a_strangers_tip_is_refused(world: LearningConsortium, peer: PeerDriver) -> None:
    world.keys.append(STRANGER)
    refused = refusal(peer.send(world.tip(-1, 9, bytes(32), 99, "memory://x")))
    assert (refused.what, refused.sender) == ("tip", STRANGER.address)
    assert of(RequestHeaders, peer.wait(10_000)) == []
    assert peer.peer.known_peers == 0


# --- blocks ---------------------------------------------------------------------------------


def test_a_good_block_is_followed_and_its_model_kept(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    block = world.model_block(peer.state, world.updates(range(5), peer.state))
    effects = peer.block(block)
    assert peer.state.tip_hash == block.hash
    assert block.body.model_info is not None
    (put,) = of(Put, effects)
    assert put.cid == block.body.model_info.global_cid
    assert of(Refused, effects) == []


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (lambda w: {"global_cid": w.put(INITIAL_MODEL)}, "global_cid"),
        (
            lambda w: {
                "contributors": tuple(sorted(w.address(i) for i in range(5))),
                "accuracy": 0.52,
            },
            "contributors",
        ),
        (lambda w: {"accuracy": 0.99}, "accuracy"),
        (lambda w: {"rule": "fedavg"}, "rule"),
        (lambda w: {"current_iter": 2}, "current_iter"),
    ],
)
def test_a_lie_about_the_model_is_refused(
    world: LearningConsortium, peer: PeerDriver, lie: Any, reason: str
) -> None:
    tip = peer.state.tip_hash
    updates = world.updates(range(5), peer.state)
    refused = refusal(peer.block(world.model_block(peer.state, updates, lie(world))))
    assert (refused.what, refused.sender) == ("block", world.address(1))
    assert reason in refused.reason
    assert peer.state.tip_hash == tip


def test_a_block_with_a_malformed_update_is_refused(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    tip = peer.state
    good = world.updates(range(4), tip)
    honest = world.model_block(tip, good)
    bad = world.update(4, tip, b"garbage")
    block = world.block(tip, [*good, bad], honest.body.model_info)
    refused = refusal(peer.block(block))
    assert world.address(4) in refused.reason
    assert peer.state.tip_hash == tip.tip_hash


def by_a_strange_miner(world: LearningConsortium, state: State) -> Block:
    world.keys.append(STRANGER)
    return world.block(state, [world.update(1, state)], miner=-1)


def signed_by_another(world: LearningConsortium, state: State) -> Block:
    block = world.block(state, [world.sign(1, world.proposal(), state)])
    return replace(block, signature=world.keys[2].sign(block.hash))


def with_another_body(world: LearningConsortium, state: State) -> Block:
    good = world.model_block(state, world.updates(range(5), state))
    return replace(good, body=world.block(state).body)


def without_work(world: LearningConsortium, state: State) -> Block:
    return world.block(state, world.updates(range(2), state), difficulty=0)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (by_a_strange_miner, "not a member"),
        (signed_by_another, "not signed"),
        (with_another_body, "body"),
        (without_work, ""),
    ],
)
@pytest.mark.parametrize("orphan", [False, True])
def test_a_block_nobody_vouches_for_is_refused_at_once(
    world: LearningConsortium, peer: PeerDriver, make: Any, reason: str, orphan: bool
) -> None:
    """Also where its parent is unknown: nothing of it is kept, and nobody is asked."""
    state = peer.state
    block = make(world, replace(state, tip_hash=b"?" * 32) if orphan else state)
    refused = refusal(peer.block(block))
    assert reason in refused.reason
    assert peer.state.tip_hash == state.tip_hash
    assert of(RequestHeaders, peer.wait(10_000)) == []


@pytest.mark.parametrize("orphan", [False, True])
def test_a_block_that_does_not_stand_on_the_final_one_is_refused_at_once(
    world: LearningConsortium, peer: PeerDriver, monkeypatch: pytest.MonkeyPatch, orphan: bool
) -> None:
    """The state at an old parent would have to be computed from the genesis."""
    parent = replace(world.start, tip_hash=b"?" * 32) if orphan else world.start
    old = world.block(parent, [world.sign(2, Transfer(world.address(0), 1))], miner=2)
    said = statement(peer.chain, peer.state.tip_hash)
    peer.chain.finalize(quorum(world, Stage.PRECOMMIT, said, range(4)))
    monkeypatch.setattr(peer.chain, "state_at", None)
    assert "is final" in refusal(peer.block(old)).reason
    assert of(RequestHeaders, peer.wait(10_000)) == []


def test_a_block_that_waited_while_another_became_final_is_refused(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    """Its parent comes when it can stand nowhere any more."""
    fork = peer.state
    side = world.model_block(fork, world.updates(range(2), fork))
    above = world.block(
        world.apply(fork, side), [world.sign(2, Transfer(world.address(0), 1), fork)], miner=2
    )
    peer.block(above)
    peer.block(world.model_block(fork, world.updates(range(5), fork)))
    said = statement(peer.chain, peer.state.tip_hash)
    peer.chain.finalize(quorum(world, Stage.PRECOMMIT, said, range(4)))
    assert "is final" in refusal(peer.block(side)).reason
    assert peer.chain.node(above.hash) is None


def test_a_forged_body_does_not_keep_the_true_block_out(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    good = world.model_block(peer.state, world.updates(range(5), peer.state))
    child_of_nobody = replace(good, body=world.block(peer.state).body)
    peer.block(child_of_nobody, good)
    assert peer.state.tip_hash == good.hash


def test_a_block_that_says_nothing_is_refused(world: LearningConsortium, peer: PeerDriver) -> None:
    """It would cost every miner the search under way and carry nothing."""
    tip = peer.state.tip_hash
    refused = refusal(peer.block(world.block(peer.state)))
    assert "no transaction" in refused.reason
    assert peer.state.tip_hash == tip


def test_a_block_from_the_future_is_taken_when_its_time_has_come(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    block = world.model_block(peer.state, world.updates(range(5), peer.state), later=60_000)
    assert "ahead" in refusal(peer.block(block)).reason
    peer.wait(60_000)
    peer.block(block)
    assert peer.state.tip_hash == block.hash


def test_an_invalid_block_is_checked_once_only(world: LearningConsortium, peer: PeerDriver) -> None:
    """Who sends it again and again costs no aggregation, nor do blocks that stand on it."""
    state = peer.state
    block = world.model_block(state, world.updates(range(5), state), {"accuracy": 0.99})
    child = world.block(
        replace(state, tip_hash=block.hash, height=2), [world.sign(1, world.proposal())]
    )
    assert len(of(Refused, peer.block(block))) == 1
    peer.block(child)
    assert peer.block(block, child, block) == []
    assert of(RequestHeaders, peer.wait(60_000)) == []


# --- files ----------------------------------------------------------------------------------


def test_a_block_whose_files_never_arrive_is_refused_after_the_wait(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    block = world.model_block(peer.state, world.updates(range(5), peer.state))
    payload = block.body.transactions[2].payload
    assert isinstance(payload, ModelUpdate)
    peer.hidden.add(payload.cid)
    wait = CHECKER.file_wait_ms
    assert of(Refused, peer.block(block) + peer.wait(wait)) == []
    refused = refusal(peer.wait(250))
    assert payload.cid in refused.reason
    assert refused.sender == world.address(1)
    # It comes again, and so does the file.
    peer.hidden.clear()
    peer.wait(CHECKER.fetch_retry_ms)
    peer.block(block)
    assert peer.state.tip_hash == block.hash


def test_a_failed_fetch_is_tried_again_after_the_pause_and_not_before(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    update = world.update(1, peer.state)
    assert isinstance(update.payload, ModelUpdate)
    cid = update.payload.cid
    peer.hidden.add(cid)
    peer.transaction(update)
    peer.wait(10_000, step=100)
    times = [at for at, e in peer.log if isinstance(e, Fetch) and e.cid == cid]
    assert len(times) == 11
    assert {b - a for a, b in pairwise(times)} == {CHECKER.fetch_retry_ms}
    peer.hidden.clear()
    peer.wait(1_000)
    times = [at for at, e in peer.log if isinstance(e, Fetch) and e.cid == cid]
    assert len(times) == 12
    peer.wait(5_000)
    assert len([e for _, e in peer.log if isinstance(e, Fetch) and e.cid == cid]) == 12


def test_a_child_waits_as_long_as_its_parents_files_do(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    """The wait for a block's files begins with its parent's acceptance, not before."""
    state = peer.state
    first = world.model_block(state, world.updates(range(5), state))
    after = world.apply(state, first)
    second = world.model_block(after, world.updates(range(5), after))
    late = [t.payload.cid for t in (first.body.transactions[0], second.body.transactions[0])]  # type: ignore[union-attr]
    peer.hidden.update(late)
    peer.block(first, second)
    peer.wait(CHECKER.file_wait_ms - 1_000)
    peer.hidden.remove(late[0])
    peer.wait(10_000)
    assert peer.state.tip_hash == first.hash
    peer.hidden.clear()
    peer.wait(2_000)
    assert peer.state.tip_hash == second.hash


def test_more_files_than_the_cache_holds_are_kept_while_needed(world: LearningConsortium) -> None:
    peer = PeerDriver(world, 0, replace(CHECKER, file_cache_bytes=500))
    peer.block(world.task_block())
    block = world.model_block(peer.state, world.updates(range(5), peer.state))
    fetches = of(Fetch, peer.block(block))
    assert peer.state.tip_hash == block.hash
    assert len(fetches) == len({f.cid for f in fetches}) == 6


# --- the omission rule ----------------------------------------------------------------------


def test_a_block_that_leaves_out_too_much_is_refused(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    updates = world.updates(range(5), peer.state)
    peer.transaction(*updates)
    peer.wait(CHECKER.omission_grace_ms)
    tip = peer.state.tip_hash
    refused = refusal(peer.block(world.model_block(peer.state, updates[:3])))
    assert "leaves out 2 of 5" in refused.reason
    assert peer.state.tip_hash == tip
    peer.block(enough := world.model_block(peer.state, updates[:4]))
    assert peer.state.tip_hash == enough.hash


def test_a_stolen_tip_is_refused(world: LearningConsortium, peer: PeerDriver) -> None:
    mine = world.tip(1, 9, bytes(32), 99, "memory://x").tip
    refused = refusal(peer.send(TipReceived(replace(mine, sender=world.address(2)))))
    assert "not signed" in refused.reason
    assert peer.peer.known_peers == 0


def test_updates_that_came_just_before_the_block_do_not_count(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    updates = world.updates(range(5), peer.state)
    peer.transaction(*updates[:3])
    peer.wait(1_000)
    peer.transaction(*updates[3:])
    peer.wait(CHECKER.omission_grace_ms - 250)
    peer.block(block := world.model_block(peer.state, updates[:3]))
    assert peer.state.tip_hash == block.hash


def test_updates_without_a_usable_file_do_not_count(
    world: LearningConsortium, peer: PeerDriver
) -> None:
    """Else two members could stop all others by announcing what they don't have."""
    good = world.updates(range(3), peer.state)
    lost = world.update(3, peer.state)
    bad = world.update(4, peer.state, b"garbage")
    assert isinstance(lost.payload, ModelUpdate)
    peer.hidden.add(lost.payload.cid)
    peer.transaction(*good, lost, bad)
    peer.wait(20_000)
    peer.block(block := world.model_block(peer.state, good))
    assert peer.state.tip_hash == block.hash


# --- in a fleet -----------------------------------------------------------------------------


def test_a_vehicle_with_malformed_updates_holds_nobody_up() -> None:
    fleet = Fleet(5)
    honest = fleet.make_update
    fleet.make_update = lambda v, r: b"junk" * r.iteration if v.number == 4 else honest(v, r)
    fleet.propose(total_iter=2)
    fleet.run_until(lambda: fleet.all_reach(2))
    for vehicle in fleet.vehicles:
        assert vehicle.state.balances[fleet[4].address] == 0
        refused = [r for r in vehicle.effects(Refused) if r.what == "update"]
        assert {r.sender for r in refused} <= {fleet[4].address}


def test_junk_events_of_all_kinds_change_nothing() -> None:
    """A lying member's junk goes to all while the fleet works; the outcome stays."""
    fleet = Fleet(4)
    world = fleet.world
    fleet.propose(total_iter=2)
    for step in range(20):
        fleet.run(500)
        for vehicle in fleet.vehicles:
            state = replace(vehicle.state, tip_hash=bytes([step]) * 32)
            junk = world.block(state, [world.sign(3, world.proposal(), state)], miner=3)
            vehicle.take(BlockReceived(junk))
            far = world.sign(3, Transfer(world.address(0), 1), vehicle.state, ahead=20 + step)
            vehicle.take(TransactionReceived(far))
            vehicle.take(world.tip(3, 10**6, bytes([step]) * 32, 10**9, stamp=10**15 + step))
    fleet.run_until(lambda: fleet.all_reach(2))
