"""Which files a peer fetches, how large they may be, and what it lets go again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bift_ros.chain.encryption import OVERHEAD
from bift_ros.chain.interface import KEPT_MODELS
from bift_ros.consensus.payloads import ModelUpdate, ShareFile, WithdrawFile
from bift_ros.consensus.transactions import Transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Discard, Effect, Fetch, Pin, Put, Refused, Unpin
from bift_ros.peer.events import DatasetChanged, TransactionReceived
from bift_ros.peer.holdings import KEPT_ITERATIONS, MAXIMUM_BYTES, MAXIMUM_FILES, Holdings
from bift_ros.peer.named_files import NamedFiles
from bift_ros.pofl.codec import UPDATE_EXPONENT, ModelSpec, TensorSpec
from bift_ros.pofl.files import MAX_MODEL_BYTES, ModelFileError, parse_model, update_bytes
from bift_ros.simulation.world import INITIAL_MODEL, SPEC, train
from bift_ros.storage.cid import cid_of
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of
from world.fleet import Fleet

CHECKER = PeerConfig(mine=False, train=False)
OWNER = KeyPair.from_seed(bytes(32)).address


def cid_in(update: Transaction) -> str:
    assert isinstance(update.payload, ModelUpdate)
    return update.payload.cid


def asked(effects: list[Effect]) -> set[str]:
    return {fetch.cid for fetch in of(Fetch, effects)}


def learner(world: LearningConsortium, total_iter: int = 3) -> PeerDriver:
    """It stands on block 1, where member 0 proposed a task, and has the task's model."""
    peer = PeerDriver(world, 0, CHECKER)
    peer.block(world.task_block(total_iter=total_iter))
    peer.send(DatasetChanged(10))
    return peer


@pytest.mark.parametrize("mode", ["bift", "paper"])
def test_an_update_of_a_task_that_nobody_proposed_is_not_fetched(mode: str) -> None:
    world = LearningConsortium(4, mode=mode)
    peer = learner(world)
    junk = [world.update(1, peer.state, model_id=f"junk{i}") for i in range(4)]
    early = world.update(2, peer.state, iteration=7)
    elsewhere = world.update(3, peer.state, base_cid=cid_of(b"another model"))
    effects = peer.transaction(*junk, early, elsewhere) + peer.wait(20_000)
    assert asked(effects) <= {cid_of(INITIAL_MODEL)}


def test_an_update_is_fetched_once_its_commitment_is_on_the_chain() -> None:
    world = LearningConsortium(4, mode="bift")
    peer = learner(world)
    updates = world.updates(range(3), peer.state)
    other = world.update(2, peer.state, train(INITIAL_MODEL, 9, 1))
    before = peer.transaction(*updates, other) + peer.wait(5_000)
    assert not asked(before) & {cid_in(update) for update in (*updates, other)}
    commits = [world.commit(n, peer.state, update) for n, update in enumerate(updates)]
    effects = peer.block(world.block(peer.state, commits))
    assert {cid_in(update) for update in updates} <= asked(effects)
    assert cid_in(other) not in asked(effects + peer.wait(5_000))


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_file_may_be_as_large_as_its_kind_can_be(encrypted: bool) -> None:
    fleet = Fleet(4, encrypt_models=encrypted)
    fleet.run(15_000)  # for a key
    fleet.propose(total_iter=1)
    fleet.run_until(lambda: fleet.all_reach(1))
    overhead = OVERHEAD if encrypted else 0
    update = update_bytes(SPEC, UPDATE_EXPONENT) + overhead
    bounds = {fetch.largest for vehicle in fleet.vehicles for fetch in vehicle.effects(Fetch)}
    assert bounds == {update, MAX_MODEL_BYTES + overhead}
    cids = [cid for block in fleet[0].chain.canonical(1, 100) for cid in block.body.update_cids]
    assert {len(fleet[0].files[cid]) for cid in cids} == {update}


def test_a_model_of_eleven_million_parameters_is_one() -> None:
    spec = ModelSpec((TensorSpec("weights", (11_000_000,)),))
    assert update_bytes(spec, UPDATE_EXPONENT) < 22_000_200
    assert 4 * spec.size < MAX_MODEL_BYTES


def test_a_model_beyond_the_bound_is_none() -> None:
    with pytest.raises(ModelFileError, match="over the limit"):
        parse_model(bytes(MAX_MODEL_BYTES + 1))


def test_a_block_with_a_file_that_is_too_large_is_refused_at_once() -> None:
    world = LearningConsortium(5)
    peer = learner(world)
    good = world.updates(range(4), peer.state)
    honest = world.model_block(peer.state, good)
    large = world.update(4, peer.state, bytes(10**6))
    block = world.block(peer.state, [*good, large], honest.body.model_info)
    (refused,) = of(Refused, peer.block(block))
    assert cid_in(large) in refused.reason
    assert peer.peer.waiting_blocks == 0
    assert peer.peer.wanted_files == 1
    peer.block(honest)
    assert peer.state.tip_hash == honest.hash


def test_a_file_that_is_wanted_as_a_model_too_may_be_as_large_as_one() -> None:
    """Else whoever names the next task's model as its update would keep it from others."""
    world = LearningConsortium(4)
    peer = learner(world)
    world.put(bytes(10**6))
    named = world.update(1, peer.state, bytes(10**6))
    (first,) = (f for f in of(Fetch, peer.transaction(named)) if f.cid == cid_in(named))
    peer.block(world.model_block(peer.state, world.updates([2, 3], peer.state)))
    peer.block(world.model_block(peer.state, world.updates([2, 3], peer.state)))
    peer.block(world.model_block(peer.state, world.updates([2, 3], peer.state)))
    assert peer.state.task is None or peer.state.task.is_finished
    proposal = replace(world.proposal(), model_id="next", init_cid=cid_in(named))
    peer.block(world.block(peer.state, [world.sign(1, proposal, peer.state)]))
    effects = peer.transaction(world.update(1, peer.state, b"x", base_cid=cid_in(named)))
    (again,) = (f for f in of(Fetch, effects) if f.cid == cid_in(named))
    assert first.largest < again.largest == MAX_MODEL_BYTES


def test_few_blocks_of_one_miner_wait_for_files() -> None:
    """Nobody can have others fetch what it likes by making rival blocks."""
    world = LearningConsortium(5, difficulty=0)
    peer = learner(world)
    good = world.updates(range(3), peer.state)
    info = world.model_block(peer.state, good).body.model_info
    state, effects = peer.state, []
    for n in range(5):
        plain = world.sign(1, WithdrawFile(f"file{n}"), state)
        above = world.block(state, [plain], later=1_000)
        peer.now += 1_000
        peer.block(above)
        state = peer.state
        lost = world.update(4, state, b"lost %d" % n)
        peer.hidden.add(cid_in(lost))
        effects += peer.block(world.block(state, [*good, lost], info, miner=4))
    assert peer.peer.waiting_blocks == 4
    (refused,) = of(Refused, effects)
    assert "4 other blocks of its miner wait for files" in refused.reason
    # Another miner's block is checked all the while.
    honest = world.model_block(state, good, miner=3)
    peer.block(honest)
    assert peer.state.tip_hash == honest.hash


def test_what_the_chain_names_is_kept_and_no_more() -> None:
    world = LearningConsortium(5)
    peer = learner(world, total_iter=10)
    updates = world.updates(range(3), peer.state)
    block = world.model_block(peer.state, updates)
    left_out = world.update(4, peer.state)
    effects = peer.transaction(left_out) + peer.block(block)
    (pin,) = of(Pin, effects)
    assert block.body.model_info is not None
    model = block.body.model_info.global_cid
    assert set(pin.cids) == {cid_of(INITIAL_MODEL), model, *map(cid_in, updates)}
    assert [(put.cid, put.pinned) for put in of(Put, effects)] == [(model, True)]
    gone = []
    for _ in range(KEPT_ITERATIONS):
        gone += of(Discard, peer.wait(250))
        assert not gone
        peer.block(world.model_block(peer.state, world.updates(range(3), peer.state)))
    gone += of(Discard, peer.wait(250))
    assert [discard.cids for discard in gone] == [(cid_in(left_out),)]


def chain_of_models(peer: PeerDriver, world: LearningConsortium, count: int) -> list[Effect]:
    """What a peer does while the chain brings so many models."""
    effects: list[Effect] = []
    for _ in range(count):
        updates = world.updates(range(1, 4), peer.state)
        effects += peer.block(world.model_block(peer.state, updates))
    return effects


def pinned(effects: list[Effect]) -> set[str]:
    """What is pinned after some effects."""
    kept: set[str] = set()
    for effect in effects:
        if isinstance(effect, Pin):
            kept.update(effect.cids)
        elif isinstance(effect, Unpin):
            kept.difference_update(effect.cids)
    return kept


def test_the_files_of_the_last_models_are_pinned_and_no_older_ones() -> None:
    world = LearningConsortium(5)
    peer = learner(world, total_iter=30)
    effects = chain_of_models(peer, world, KEPT_MODELS)
    assert not of(Unpin, effects)
    assert len(pinned(effects)) == 1 + 4 * KEPT_MODELS
    effects += chain_of_models(peer, world, 10)
    last = [b for b in peer.chain.canonical(1, 100) if b.body.model_info][-KEPT_MODELS:]
    named = {cid for b in last for cid in (*b.body.update_cids, b.body.model_info.global_cid)}
    assert pinned(effects) == named


def test_a_vehicle_that_keeps_all_unpins_nothing() -> None:
    world = LearningConsortium(5)
    peer = PeerDriver(world, 0, replace(CHECKER, keep_all=True))
    peer.block(world.task_block(total_iter=30))
    assert not of(Unpin, chain_of_models(peer, world, 2 * KEPT_MODELS))


def test_what_was_to_be_unpinned_before_a_crash_is_unpinned_after_it() -> None:
    world = LearningConsortium(5)
    peer = learner(world, total_iter=30)
    effects = chain_of_models(peer, world, KEPT_MODELS + 2)
    again = PeerDriver(world, 0, CHECKER, peer.chain)
    (unpin,) = of(Unpin, [effect for _, effect in again.log])
    assert set(unpin.cids) == {cid for e in of(Unpin, effects) for cid in e.cids}
    later = effects + chain_of_models(again, world, 3)
    assert len(pinned(later)) == 4 * KEPT_MODELS


def test_the_newest_model_and_what_the_owner_shares_stay_pinned() -> None:
    world = LearningConsortium(5)
    peer = learner(world, total_iter=1)
    chain_of_models(peer, world, 1)
    ended = peer.state.last_task
    assert ended is not None
    for number in range(KEPT_MODELS + 2):
        shared = ShareFile("model", cid_of(INITIAL_MODEL), len(INITIAL_MODEL), "")
        said = [world.sign(0, shared, peer.state)]
        if number == 0:
            again = world.proposal(model_id="more", total_iter=30)
            said.append(world.sign(1, again, peer.state))
        peer.block(world.block(peer.state, said))
        effects = chain_of_models(peer, world, 1)
        gone = {cid for unpin in of(Unpin, effects) for cid in unpin.cids}
        assert not gone & {cid_of(INITIAL_MODEL), ended.global_cid}


def test_an_update_of_this_vehicle_that_was_left_out_is_unpinned_in_time() -> None:
    named = NamedFiles()
    named.made("own")
    for n in range(KEPT_MODELS):
        assert named.outdated(()) == ()
        named.named([f"model {n}"])
    assert named.outdated({"own"}) == ()
    assert named.outdated(()) == ("own",)
    assert named.outdated(()) == ()


def test_the_model_of_a_block_that_is_not_followed_is_not_pinned() -> None:
    world = LearningConsortium(5)
    peer = learner(world)
    updates = world.updates(range(4), peer.state)
    rivals = [
        world.model_block(peer.state, updates[:2], miner=2),
        world.model_block(peer.state, updates[1:3], miner=3),
    ]
    effects = peer.block(*sorted(rivals, key=lambda block: block.hash))
    assert [put.pinned for put in of(Put, effects)] == [True, False]
    assert len(of(Pin, effects)) == 1


def test_a_members_oldest_files_go_first_but_none_that_is_needed() -> None:
    holdings = Holdings()
    for n in range(MAXIMUM_FILES + 3):
        holdings.fetched(f"a{n}", "a", 10)
        holdings.fetched(f"b{n % 3}", "b", 10)
    assert set(holdings.surplus(lambda: {"a1"})) == {"a0", "a2"}
    assert holdings.surplus(set) == ("a1",)
    assert holdings.surplus(set) == ()


def test_a_members_bytes_are_bounded_too() -> None:
    holdings = Holdings()
    for n in range(4):
        holdings.fetched(f"a{n}", "a", MAXIMUM_BYTES // 3)
    assert holdings.surplus(set) == ("a0",)
    holdings.fetched("a4", "a", MAXIMUM_BYTES // 3)
    holdings.arrived("a2", 10)  # it was shorter than it might have been
    holdings.arrived("a3", 10)
    assert holdings.surplus(set) == ()


def test_what_was_fetched_is_known_after_a_restart() -> None:
    before, after = Holdings(), Holdings()
    cids = [cid_of(b"%d" % n) for n in range(3)]
    before.fetched(cids[0], OWNER, 10)
    before.named([cid_of(b"a model")])
    before.fetched(cids[1], OWNER, 10)
    after.recall(before.note())
    for _ in range(KEPT_ITERATIONS):
        after.named([])
    assert after.surplus(set) == (cids[0],)
    after.named([])
    assert after.surplus(set) == (cids[1],)


def test_a_vehicle_takes_up_what_it_had_fetched_before_a_restart() -> None:
    world = LearningConsortium(5)
    peer = learner(world, total_iter=10)
    left_out = world.update(4, peer.state)
    peer.transaction(left_out)
    peer.wait(250)
    again = PeerDriver(world, 0, CHECKER, peer.chain)
    gone = []
    for _ in range(KEPT_ITERATIONS + 1):
        again.block(world.model_block(again.state, world.updates(range(3), again.state)))
        gone += of(Discard, again.wait(250))
    assert [discard.cids for discard in gone] == [(cid_in(left_out),)]


def test_an_unknown_update_costs_no_fetch_however_often_it_is_said() -> None:
    world = LearningConsortium(4)
    peer = learner(world)
    junk = world.update(1, peer.state, model_id="junk")
    for _ in range(3):
        assert not of(Fetch, peer.send(TransactionReceived(junk)))
