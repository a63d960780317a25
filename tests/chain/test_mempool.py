"""The mempool: what it takes, holds, drops and offers."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from bift_ros.chain.exceptions import AlreadyKnown, PoolFull, SequenceTaken
from bift_ros.chain.mempool import (
    MAX_LEARNING_PER_SENDER,
    MAX_PER_SENDER,
    MAX_SEQUENCE_GAP,
    Mempool,
)
from bift_ros.consensus import exceptions as refused
from bift_ros.consensus.blocks import MAX_BLOCK_BYTES
from bift_ros.consensus.payloads import (
    ModelCommit,
    ModelUpdate,
    Transfer,
    WithdrawFile,
)
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import sign_transaction
from bift_ros.consensus.transition import state_transition

RAW_CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@pytest.fixture(scope="module")
def tasked(fleet: Any) -> State:
    state: State = fleet.with_task()
    return state


@pytest.fixture(scope="module")
def rich(fleet: Any, tasked: State) -> State:
    """Members 0, 1 and 2 own 20 each; iteration 2 of the task is going on."""
    state: State = fleet.apply(tasked, fleet.model_block(tasked, [0, 1, 2]))
    return state


def test_a_pool_of_updates_makes_a_block(fleet: Any, tasked: State) -> None:
    pool = Mempool()
    updates = [fleet.update(i, tasked) for i in range(5)]
    for tx in updates:
        pool.add(tx, tasked, fleet.genesis)
        assert tx.hash in pool
    assert len(pool) == 5
    assert pool.pending(tasked) == []  # updates don't go into ordinary blocks
    assert set(pool.learning(tasked, ModelUpdate)) == set(updates)
    chosen = pool.pending(tasked, ModelUpdate)
    block = fleet.block(tasked, chosen, fleet.made_up_info(tasked, chosen))
    after = state_transition(tasked, fleet.genesis, block, block.header.timestamp)
    reasons = {type(reason) for _, reason in pool.prune(after)}
    assert reasons == {refused.StaleIteration}
    assert len(pool) == 0


def test_the_order_of_arrival_matters_to_turns_only(fleet: Any, rich: State) -> None:
    txs = [fleet.update(i, rich) for i in range(3)]
    txs += [fleet.sign(i, Transfer(fleet.address(4), 3), rich) for i in (0, 1)]
    txs += [fleet.sign(2, Transfer(fleet.address(4), 3), rich, ahead=k) for k in (0, 1, 2)]
    orders = []
    for seed in range(6):
        pool = Mempool()
        for tx in random.Random(seed).sample(txs, len(txs)):
            pool.add(tx, rich, fleet.genesis)
        orders.append(pool.pending(rich, ModelUpdate))
    assert all(order[:3] == orders[0][:3] for order in orders)  # the updates
    assert all({tx.hash for tx in order} == {tx.hash for tx in txs} for order in orders)
    assert len(orders[0]) == len(txs)


def test_reasons_not_to_take_it(fleet: Any, rich: State) -> None:
    pool = Mempool()

    def refuse(tx: Any, kind: type[refused.InvalidTransaction], said: str | None = None) -> None:
        with pytest.raises(kind, match=said) as caught:
            pool.add(tx, rich, fleet.genesis)
        assert type(caught.value) is kind
        assert len(pool) == 1

    good = fleet.sign(0, Transfer(fleet.address(3), 5), rich)
    pool.add(good, rich, fleet.genesis)
    refuse(good, AlreadyKnown)
    refuse(fleet.sign(0, Transfer(fleet.address(3), 6), rich), SequenceTaken)
    refuse(replace(good, sequence=9), refused.BadSignature)
    refuse(fleet.sign(0, Transfer(fleet.address(3), 5)), refused.SequenceUsed)
    far = fleet.sign(0, Transfer(fleet.address(3), 5), rich, ahead=MAX_SEQUENCE_GAP + 1)
    refuse(far, refused.NotYetValid, "is far ahead of")
    refuse(fleet.sign(3, Transfer(fleet.address(0), 1), rich), refused.InsufficientBalance)
    refuse(
        fleet.sign(1, Transfer("00" * 20, 1), rich),
        refused.InvalidTransaction,
        "the recipient .* is not a member",
    )
    refuse(
        fleet.sign(1, fleet.proposal("signs"), rich),
        refused.InvalidTransaction,
        "is active; propose again after it",
    )
    refuse(fleet.update(1, rich, iteration=1), refused.StaleIteration)
    wrong = fleet.sign(1, fleet.update(1, rich).payload, rich)
    refuse(replace(wrong, sequence=3), refused.BadSignature)
    misnumbered = sign_transaction(fleet.keys[1], 7, wrong.payload, fleet.genesis.hash)
    refuse(misnumbered, refused.InvalidTransaction, "the two must be equal")


def test_one_update_a_member_and_iteration(fleet: Any, tasked: State) -> None:
    pool = Mempool()
    mine = fleet.update(0, tasked)
    pool.add(mine, tasked, fleet.genesis)
    second = fleet.sign(0, replace(mine.payload, cid=RAW_CID), tasked, ahead=1)
    with pytest.raises(refused.DuplicateLearning, match="another model_update"):
        pool.add(second, tasked, fleet.genesis)
    copy = fleet.update(1, tasked, cid=mine.payload.cid)
    with pytest.raises(refused.DuplicateLearning, match=f"{fleet.address(0)}'s too"):
        pool.add(copy, tasked, fleet.genesis)


def test_bounds(fleet: Any, rich: State) -> None:
    pool = Mempool(max_transactions=MAX_PER_SENDER + 1)
    gift = Transfer(fleet.address(3), 1)
    for ahead in range(MAX_PER_SENDER):
        pool.add(fleet.sign(0, gift, rich, ahead=ahead), rich, fleet.genesis)
    with pytest.raises(PoolFull, match=fleet.address(0)):
        pool.add(fleet.sign(0, gift, rich, ahead=MAX_PER_SENDER), rich, fleet.genesis)
    pool.add(fleet.sign(1, gift, rich), rich, fleet.genesis)
    with pytest.raises(PoolFull, match="33 transactions"):
        pool.add(fleet.sign(2, gift, rich), rich, fleet.genesis)


def test_a_gap_waits_for_what_fills_it(fleet: Any, rich: State) -> None:
    pool = Mempool()
    first, second, third = (
        fleet.sign(0, Transfer(fleet.address(3), 2), rich, ahead=ahead) for ahead in range(3)
    )
    pool.add(third, rich, fleet.genesis)
    assert pool.pending(rich) == []
    assert pool.next_sequence(fleet.address(0), rich) == first.sequence
    pool.add(first, rich, fleet.genesis)
    assert pool.pending(rich) == [first]
    pool.add(second, rich, fleet.genesis)
    assert pool.pending(rich) == [first, second, third]
    assert pool.next_sequence(fleet.address(0), rich) == third.sequence + 1


def test_stake_that_comes_within_the_block(fleet: Any, rich: State) -> None:
    pool = Mempool()
    # Member 3 owns nothing, so it can spend only after it was given.
    with pytest.raises(refused.InsufficientBalance):
        pool.add(fleet.sign(3, Transfer(fleet.address(4), 5), rich), rich, fleet.genesis)
    spend = [fleet.sign(0, Transfer(fleet.address(4), 15), rich, ahead=k) for k in (0, 1)]
    for tx in spend:
        pool.add(tx, rich, fleet.genesis)
    assert pool.pending(rich) == spend[:1]
    pool.add(fleet.sign(1, Transfer(fleet.address(0), 20), rich), rich, fleet.genesis)
    assert len(pool.pending(rich)) == 3
    block = fleet.block(rich, pool.pending(rich))
    assert fleet.apply(rich, block).balances[fleet.address(4)] == 30


def test_an_update_that_outran_its_block_is_held(fleet: Any, tasked: State) -> None:
    pool = Mempool()
    block = fleet.model_block(tasked, [0, 1])
    after = fleet.apply(tasked, block)
    early = [fleet.update(i, after) for i in (0, 4)]
    for tx in early:
        pool.add(tx, tasked, fleet.genesis)
    assert pool.learning(tasked, ModelUpdate) == ()
    assert pool.prune(after) == []
    assert set(pool.learning(after, ModelUpdate)) == set(early)
    # One for a task that nobody here has heard of yet.
    before = Mempool()
    before.add(fleet.sign(1, fleet.update(1, tasked).payload), fleet.start, fleet.genesis)
    assert before.learning(fleet.start, ModelUpdate) == ()
    assert before.prune(tasked) == []
    assert len(before.learning(tasked, ModelUpdate)) == 1


def test_a_late_update_is_dropped_and_holds_up_nothing(fleet: Any, tasked: State) -> None:
    pool = Mempool()
    late = fleet.update(3, tasked)
    pool.add(late, tasked, fleet.genesis)
    after = fleet.apply(tasked, fleet.model_block(tasked, [0, 1]))
    ((dropped, reason),) = pool.prune(after)
    assert dropped == late
    assert isinstance(reason, refused.StaleIteration)
    assert pool.next_sequence(fleet.address(3), after) == 0
    again = fleet.update(3, after)
    pool.add(again, after, fleet.genesis)
    assert pool.learning(after, ModelUpdate) == (again,)


def test_a_reorganisation_gives_its_transactions_back(fleet: Any, rich: State) -> None:
    pool = Mempool()
    gift = fleet.sign(0, Transfer(fleet.address(3), 2), rich)
    onward = fleet.sign(3, Transfer(fleet.address(4), 2), rich)
    lost = fleet.block(rich, [gift, onward])
    pool.add(gift, rich, fleet.genesis)
    assert len(pool.prune(fleet.apply(rich, lost))) == 1
    pool.restore(lost.body.transactions)
    # On the other branch member 0 used its number for something else.
    rival = fleet.sign(0, Transfer(fleet.address(1), 20), rich)
    other = fleet.apply(rich, fleet.block(rich, [rival], miner=1))
    reasons = {tx: type(reason) for tx, reason in pool.prune(other)}
    assert reasons == {gift: refused.SequenceUsed}
    assert onward.hash in pool  # until its sender has the stake again
    assert pool.pending(other) == []
    # On a third one nothing happened: both are valid, in the right order.
    pool.restore(lost.body.transactions)
    idle = fleet.apply(rich, fleet.block(rich, miner=2))
    pool.restore([onward])
    pool.prune(idle)
    assert gift in pool.pending(idle)


def test_an_update_of_another_branch_is_held_for_it(fleet: Any, tasked: State) -> None:
    pool = Mempool()
    here, there = (
        fleet.apply(tasked, fleet.model_block(tasked, members)) for members in ([0, 1], [2, 3])
    )
    other = fleet.update(4, there)
    pool.add(other, here, fleet.genesis)
    assert pool.learning(here, ModelUpdate) == ()
    assert pool.prune(there) == []
    assert pool.learning(there, ModelUpdate) == (other,)


def test_the_learning_of_one_member_is_bounded(fleet: Any, rich: State) -> None:
    pool = Mempool()
    for iteration in range(3, 3 + MAX_LEARNING_PER_SENDER):
        pool.add(fleet.update(1, rich, iteration=iteration), rich, fleet.genesis)
    with pytest.raises(PoolFull):
        pool.add(fleet.update(1, rich, iteration=99), rich, fleet.genesis)


def test_commits_and_updates_go_into_blocks_of_their_own(make_fleet: Any) -> None:
    fleet = make_fleet(5, mode="bift")
    tasked = fleet.with_task()
    pool = Mempool()
    commits = [fleet.commit(member, tasked) for member in range(3)]
    updates = [fleet.update(member, tasked) for member in range(4)]
    for tx in (*updates, *commits):
        pool.add(tx, tasked, fleet.genesis)
    assert set(pool.pending(tasked, ModelCommit)) == set(commits)
    assert pool.pending(tasked, ModelUpdate) == []  # nobody has committed
    committed = fleet.apply(tasked, fleet.block(tasked, commits))
    reasons = [reason for _, reason in pool.prune(committed)]
    assert {type(reason) for reason in reasons} == {refused.DuplicateLearning}
    assert all("has committed" in str(reason) for reason in reasons)
    assert set(pool.pending(committed, ModelUpdate)) == set(updates[:3])


def test_of_two_updates_with_one_file_one_is_offered(make_fleet: Any) -> None:
    """Whoever conspires may commit to one file; a block with both would be invalid."""
    fleet = make_fleet(5, mode="bift")
    tasked = fleet.with_task()
    updates = [fleet.update(member, tasked, cid=RAW_CID) for member in range(3)]
    commits = [fleet.commit(member, tasked, update) for member, update in enumerate(updates)]
    committed = fleet.apply(tasked, fleet.block(tasked, commits))
    pool = Mempool()
    pool.add(updates[0], committed, fleet.genesis)
    assert pool.learning(committed, ModelUpdate) == (updates[0],)
    assert pool.learning(committed, ModelCommit) == ()
    pool.add(updates[1], committed, fleet.genesis)
    assert pool.learning(committed, ModelUpdate) == (updates[0],)
    assert pool.pending(committed, ModelUpdate) == [updates[0]]


def test_the_next_block_stays_within_its_size(make_fleet: Any) -> None:
    fleet = make_fleet(30, difficulty=0, reward=1000)
    tasked = fleet.with_task()
    state = fleet.apply(tasked, fleet.model_block(tasked, range(30)))
    pool = Mempool()
    for member in range(30):
        for ahead in range(20):
            gift = Transfer(fleet.address(0), 1)
            pool.add(fleet.sign(member, gift, state, ahead=ahead), state, fleet.genesis)
    chosen = pool.pending(state)
    assert 300 < len(chosen) < 600
    block = fleet.block(state, chosen)
    assert 0.9 * MAX_BLOCK_BYTES < len(block.to_bytes()) <= MAX_BLOCK_BYTES
    state_transition(state, fleet.genesis, block, block.header.timestamp)


def test_transfers_do_not_crowd_updates_out(make_fleet: Any) -> None:
    fleet = make_fleet(40, difficulty=0, reward=1000)
    tasked = fleet.with_task()
    state = fleet.apply(tasked, fleet.model_block(tasked, range(40)))
    pool = Mempool()
    for member in range(20):
        for ahead in range(32):
            gift = Transfer(fleet.address(0), 1)
            pool.add(fleet.sign(member, gift, state, ahead=ahead), state, fleet.genesis)
    for member in range(20, 40):
        pool.add(fleet.update(member, state), state, fleet.genesis)
    assert len(pool.learning(state, ModelUpdate)) == 20
    chosen = pool.pending(state, ModelUpdate)
    block = fleet.block(state, chosen, fleet.made_up_info(state, chosen))
    assert len(block.to_bytes()) <= MAX_BLOCK_BYTES


def test_a_transfer_must_be_payable_after_those_before_it(fleet: Any, rich: State) -> None:
    """Member 3 owns nothing: what comes second of its account is refused like what comes first."""
    pool = Mempool()
    pool.add(fleet.sign(3, WithdrawFile("tile"), rich), rich, fleet.genesis)
    second = fleet.sign(3, Transfer(fleet.address(0), 1), rich, ahead=1)
    with pytest.raises(refused.InsufficientBalance, match="owns 0"):
        pool.add(second, rich, fleet.genesis)
    gap = fleet.sign(3, Transfer(fleet.address(0), 1), rich, ahead=2)
    pool.add(gap, rich, fleet.genesis)  # what is missing before it may bring the stake


def test_no_address_always_comes_first(fleet: Any, rich: State) -> None:
    pool = Mempool()
    for member in range(5):
        pool.add(fleet.sign(member, WithdrawFile("a"), rich), rich, fleet.genesis)
        pool.add(fleet.sign(member, WithdrawFile("b"), rich, ahead=1), rich, fleet.genesis)
    first = set()
    state = rich
    for _ in range(5):
        pending = pool.pending(state)
        senders = [tx.sender for tx in pending]
        assert len(set(senders[:5])) == 5  # everybody once before anybody twice
        first.add(senders[0])
        state = fleet.apply(state, fleet.block(state, pending[:1]))
        pool.prune(state)
    assert len(first) == 5


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 4, 0, 3, 1)])
def test_who_has_waited_longest_comes_first(
    fleet: Any, rich: State, order: tuple[int, ...]
) -> None:
    pool = Mempool()
    for member in order:
        pool.add(fleet.sign(member, WithdrawFile("a"), rich), rich, fleet.genesis)
    expected = [fleet.address(member) for member in order]
    for number in range(10):
        pending = pool.pending(replace(rich, tip_hash=bytes([number] * 32)))
        assert [tx.sender for tx in pending] == expected


def test_nobody_keeps_a_place_with_a_number_that_can_not_come_yet(fleet: Any, rich: State) -> None:
    pool = Mempool()
    for ahead in (1, 2):
        pool.add(fleet.sign(0, WithdrawFile("a"), rich, ahead=ahead), rich, fleet.genesis)
    pool.add(fleet.sign(1, WithdrawFile("a"), rich), rich, fleet.genesis)
    pool.add(fleet.sign(0, WithdrawFile("a"), rich), rich, fleet.genesis)
    assert [tx.sender for tx in pool.pending(rich)][:2] == [fleet.address(1), fleet.address(0)]


def test_many_that_wait_take_one_turn_a_block_as_others(make_fleet: Any) -> None:
    """Whoever has little to say is not held up by those whose queues were full before."""
    fleet = make_fleet(40, difficulty=0, reward=1000)
    tasked = fleet.with_task()
    state = fleet.apply(tasked, fleet.model_block(tasked, range(40)))
    pool = Mempool()
    for member in range(1, 40):
        for ahead in range(20):
            gift = Transfer(fleet.address(0), 1)
            pool.add(fleet.sign(member, gift, state, ahead=ahead), state, fleet.genesis)
    late = fleet.sign(0, Transfer(fleet.address(1), 1), state)
    pool.add(late, state, fleet.genesis)
    chosen = pool.pending(state)
    assert len(chosen) < 39 * 20
    assert late in chosen[:40]
    state = fleet.apply(state, fleet.block(state, chosen[:39]))  # a block with room for few
    pool.prune(state)
    assert pool.pending(state)[0] is late


def test_a_spent_budget_waits_and_the_next_block_stays_valid(make_fleet: Any) -> None:
    fleet = make_fleet(account_burst=3, account_interval_ms=1_000)
    state, pool = fleet.start, Mempool()
    for ahead in range(6):
        pool.add(fleet.sign(0, WithdrawFile("a"), state, ahead=ahead), state, fleet.genesis)
    pool.add(fleet.sign(1, WithdrawFile("a"), state), state, fleet.genesis)
    sizes = []
    for _ in range(5):
        later = replace(state, timestamp=state.timestamp + 1_000)
        chosen = pool.pending(later)
        block = fleet.block(state, chosen, later=1_000)
        state = state_transition(state, fleet.genesis, block, block.header.timestamp)
        pool.prune(state)
        sizes.append(len(chosen))
    assert sizes == [4, 1, 1, 1, 0]
