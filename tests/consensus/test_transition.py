"""The state transition: what it does, and every reason to refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bift_ros.consensus import exceptions as refused
from bift_ros.consensus.blocks import MAX_BLOCK_BYTES, MIN_NONCE, Block, Body, sign_block
from bift_ros.consensus.exceptions import InvalidBlock, InvalidTransaction
from bift_ros.consensus.payloads import Learning, Transfer
from bift_ros.consensus.proof_of_work import meets, search
from bift_ros.consensus.state import State
from bift_ros.consensus.transaction_rules import check_transaction
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.consensus.transition import state_transition
from bift_ros.identity.keys import KeyPair

RAW_CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def now(block: Block) -> int:
    return block.header.timestamp


@pytest.fixture(scope="module")
def tasked(fleet: Any) -> State:
    """A state with an active task of three iterations."""
    state: State = fleet.with_task()
    return state


@pytest.fixture(scope="module")
def rich(fleet: Any, tasked: State) -> State:
    """A state after one iteration to which members 0, 1 and 2 contributed."""
    state: State = fleet.apply(tasked, fleet.model_block(tasked, [0, 1, 2]))
    return state


def test_a_task_from_proposal_to_end(fleet: Any) -> None:
    state = fleet.with_task(total_iter=2)
    assert state.task.current_iter == 0
    assert state.task.global_cid == state.task.proposal.init_cid
    for iteration in (1, 2):
        block = fleet.model_block(state, [0, 1, 4], miner=3)
        state = state_transition(state, fleet.genesis, block, now(block))
        assert state.latest_task.current_iter == iteration
        assert state.latest_task.global_cid == block.body.model_info.global_cid
    assert state.task is None
    assert state.finished == ("lights",)
    assert state.last_task.finished
    assert state.last_task.last.iteration == 2
    assert [state.balances[fleet.address(i)] for i in range(5)] == [40, 40, 0, 0, 40]
    assert (state.height, state.tip_hash) == (3, block.hash)
    assert state.learning_weight == 6
    assert state.work == 2 * 2**4
    again = fleet.sign(1, fleet.proposal("signs"), state)
    assert fleet.apply(state, fleet.block(state, [again])).task.proposer == fleet.address(1)


def test_a_transition_leaves_its_input_alone(fleet: Any, tasked: State) -> None:
    before = (dict(tasked.balances), dict(tasked.sequences), tasked.task)
    fleet.apply(tasked, fleet.model_block(tasked, [0, 1]))
    assert (dict(tasked.balances), dict(tasked.sequences), tasked.task) == before


def test_transfers_move_stake(fleet: Any, rich: State) -> None:
    txs = [
        fleet.sign(0, Transfer(fleet.address(4), 15), rich),
        fleet.sign(4, Transfer(fleet.address(3), 10), rich),  # what it has just been given
        fleet.sign(1, Transfer(fleet.address(1), 20), rich),  # to itself
    ]
    state = fleet.apply(rich, fleet.block(rich, txs))
    assert [state.balances[fleet.address(i)] for i in range(5)] == [5, 20, 20, 10, 5]
    assert (state.learning_weight, state.work) == (rich.learning_weight, rich.work)


# --- random chains ----------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from(["propose", "commit", "model", "transfer", "empty"]),
        st.sets(st.integers(0, 4), min_size=2),
        st.integers(1, 25),
    ),
    max_size=12,
)


@pytest.mark.parametrize("mode", ["bift", "paper"])
@settings(max_examples=30, deadline=None)
@given(plan=steps)
def test_properties_of_random_chains(
    make_fleet: Any, mode: str, plan: list[tuple[str, set[int], int]]
) -> None:
    fleet = make_fleet(5, mode=mode)
    state, paid = fleet.start, 0
    for kind, members, amount in plan:
        first, *_ = sorted(members)
        txs: list[Transaction] = []
        block = None
        if kind == "propose" and state.task is None:
            txs = [fleet.sign(first, fleet.proposal(f"task-{state.height}", 2), state)]
        elif kind == "transfer" and state.balances[fleet.address(first)] >= amount:
            txs = [fleet.sign(first, Transfer(fleet.address(max(members)), amount), state)]
        elif kind == "commit" and mode == "bift" and state.task is not None:
            if state.task.committed_at is None:
                txs = [fleet.commit(member, state) for member in members]
        elif kind == "model" and state.task is not None:
            if mode == "bift":
                numbers = [fleet.address(member) for member in range(5)]
                members = {numbers.index(address) for address in state.task.commitments}
            if members:
                block = fleet.model_block(state, sorted(members))
                paid += 20 * len(members)
        block = block or fleet.block(state, txs)
        block = Block.from_bytes(block.to_bytes())
        after = state_transition(state, fleet.genesis, block, now(block))
        assert after == state_transition(state, fleet.genesis, block, now(block))
        # Balances are the rewards paid, moved around; nobody owes.
        assert sum(after.balances.values()) == paid
        assert min(after.balances.values()) >= 0
        # Sequence numbers count what each sender's account did.
        for address in fleet.genesis.addresses:
            sent = sum(
                tx.sender == address and not isinstance(tx.payload, Learning)
                for tx in block.body.transactions
            )
            assert after.sequences[address] == state.sequences[address] + sent
        # Weights never fall, and grow by at most one per member.
        assert 0 <= after.learning_weight - state.learning_weight <= 5
        assert after.work >= state.work
        assert after.height == state.height + 1
        state = after


# --- reasons to refuse a transaction ----------------------------------------------------------


def check(
    fleet: Any,
    state: State,
    tx: Transaction,
    kind: type[InvalidTransaction],
    said: str | None = None,
) -> None:
    """The transaction is refused alone, and the block that holds it for the same reason."""
    with pytest.raises(kind, match=said) as caught:
        check_transaction(state, fleet.genesis, tx)
    assert type(caught.value) is kind
    block = fleet.block(state, [tx])
    with pytest.raises(InvalidBlock) as outer:
        state_transition(state, fleet.genesis, block, now(block))
    if isinstance(outer.value, refused.InvalidBlockTransaction):
        assert type(outer.value.__cause__) is kind
        assert "transaction 0: " in str(outer.value)
    else:
        assert type(outer.value) is InvalidBlock
        assert "in a block with model_flag" in str(outer.value)


def test_senders_and_signatures(fleet: Any, rich: State) -> None:
    stranger = KeyPair.from_seed(bytes(32))
    gift = Transfer(fleet.address(3), 1)
    tx = sign_transaction(stranger, 0, gift, fleet.genesis.hash)
    check(fleet, rich, tx, refused.UnknownSender)
    good = fleet.sign(0, gift, rich)
    check_transaction(rich, fleet.genesis, good)
    check(fleet, rich, replace(good, signature=bytes(64)), refused.BadSignature)
    check(fleet, rich, replace(good, payload=Transfer(fleet.address(3), 2)), refused.BadSignature)
    elsewhere = sign_transaction(fleet.keys[0], good.sequence, gift, bytes(32))
    check(fleet, rich, elsewhere, refused.BadSignature)
    check(fleet, rich, replace(good, sender=fleet.address(1)), refused.BadSignature)


def test_sequence_numbers(fleet: Any, rich: State) -> None:
    gift = Transfer(fleet.address(3), 1)
    check(
        fleet, rich, fleet.sign(0, gift, rich, ahead=1), refused.NotYetValid, "is early, .* is next"
    )
    check(fleet, rich, fleet.sign(0, gift, rich, ahead=-1), refused.SequenceUsed)


def test_transfers(fleet: Any, rich: State) -> None:
    check(
        fleet, rich, fleet.sign(3, Transfer(fleet.address(0), 1), rich), refused.InsufficientBalance
    )
    check(
        fleet,
        rich,
        fleet.sign(0, Transfer(fleet.address(3), 21), rich),
        refused.InsufficientBalance,
    )
    check(
        fleet,
        rich,
        fleet.sign(0, Transfer("00" * 20, 1), rich),
        refused.InvalidTransaction,
        "the recipient .* is not a member",
    )


def test_tasks(fleet: Any, tasked: State) -> None:
    check(
        fleet,
        tasked,
        fleet.sign(1, fleet.proposal("signs"), tasked),
        refused.InvalidTransaction,
        "is active; propose again after it",
    )
    short = fleet.with_task(total_iter=1)
    done = fleet.apply(short, fleet.model_block(short, [0, 1]))
    check(
        fleet,
        done,
        fleet.sign(1, fleet.proposal("lights"), done),
        refused.InvalidTransaction,
        "an earlier task has the name",
    )
    late = fleet.sign(1, fleet.update(1, short).payload, done)
    check(fleet, done, late, refused.StaleIteration)


def test_updates(fleet: Any, tasked: State, rich: State) -> None:
    early = fleet.sign(1, fleet.update(1, tasked).payload)
    check(fleet, fleet.start, early, refused.NotYetValid, "no task .* is active")
    check(
        fleet,
        tasked,
        fleet.update(1, tasked, model_id="signs"),
        refused.NotYetValid,
        "no task .* is active",
    )
    check(
        fleet,
        tasked,
        fleet.update(1, tasked, iteration=2),
        refused.NotYetValid,
        "is early, .* is going on",
    )
    check(
        fleet,
        tasked,
        fleet.update(1, tasked, base_cid=RAW_CID),
        refused.NotYetValid,
        "trained from .*, not from",
    )
    check(fleet, rich, fleet.update(1, rich, iteration=1), refused.StaleIteration)


def test_duplicate_updates_within_a_block(fleet: Any, tasked: State) -> None:
    one, two = fleet.update(0, tasked), fleet.update(1, tasked)
    info = fleet.made_up_info(tasked, [one, two])
    again = fleet.sign(0, replace(one.payload, cid=RAW_CID), tasked, ahead=1)
    copy = fleet.update(2, tasked, cid=one.payload.cid)
    for extra in (again, copy):
        block = fleet.block(tasked, [one, two, extra], info)
        with pytest.raises(refused.InvalidBlockTransaction, match="transaction 2") as caught:
            fleet.apply(tasked, block)
        assert type(caught.value.__cause__) is refused.DuplicateLearning
        assert "update" in str(caught.value.__cause__)


# --- reasons to refuse a block ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"previous_hash": bytes(32)}, refused.InvalidBlock, "the parent is"),
        ({"height": 5}, refused.InvalidBlock, "^height 5 after"),
        ({"timestamp": 1_700_000_001_000}, refused.WrongTimestamp, "not after"),  # its parent's own
        ({"timestamp": 1_700_000_100_000}, refused.WrongTimestamp, "ahead"),  # the far future
        ({"difficulty": 3}, refused.InvalidBlock, "^difficulty .*, not 4"),
        ({"difficulty": 5}, refused.InvalidBlock, "^difficulty .*, not 4"),
        ({"body_hash": bytes(32)}, refused.BodyMismatch, "the body is not"),
        ({"model_flag": 1}, refused.WrongModel, "the model flag is 1 exactly"),
    ],
)
def test_headers(
    fleet: Any, tasked: State, changes: dict[str, Any], kind: type[InvalidBlock], said: str
) -> None:
    good = fleet.block(tasked)
    state_transition(tasked, fleet.genesis, good, now(good))
    bad = fleet.block(tasked, **changes)
    with pytest.raises(kind, match=said) as caught:
        state_transition(tasked, fleet.genesis, bad, now(good))
    assert type(caught.value) is kind


def test_the_clock_bound_is_inclusive(fleet: Any, tasked: State) -> None:
    skew = fleet.genesis.policy.max_clock_skew_ms
    block = fleet.block(tasked)
    state_transition(tasked, fleet.genesis, block, now(block) - skew)
    with pytest.raises(refused.WrongTimestamp, match="ahead of this clock"):
        state_transition(tasked, fleet.genesis, block, now(block) - skew - 1)


def test_work_and_signature(fleet: Any, tasked: State) -> None:
    block = fleet.block(tasked)
    header = replace(block.header, nonce=MIN_NONCE)
    while meets(header.hash, 4):
        header = replace(header, nonce=header.nonce + 1)
    with pytest.raises(refused.MissingWork):
        state_transition(
            tasked, fleet.genesis, sign_block(fleet.keys[0], header, block.body), now(block)
        )
    stranger = KeyPair.from_seed(bytes(32))
    strange = search(replace(block.header, miner=stranger.address), MIN_NONCE, 10_000)
    assert strange is not None
    with pytest.raises(refused.UnknownMiner):
        state_transition(
            tasked, fleet.genesis, sign_block(stranger, strange, block.body), now(block)
        )
    other = sign_block(fleet.keys[1], block.header, block.body)
    with pytest.raises(refused.BadBlockSignature):
        state_transition(tasked, fleet.genesis, other, now(block))


def test_the_size_bound(fleet: Any, rich: State) -> None:
    gifts = [fleet.sign(0, Transfer(fleet.address(1), 1), rich, ahead=i) for i in range(600)]
    block = fleet.block(rich, gifts)
    assert len(block.to_bytes()) > MAX_BLOCK_BYTES
    with pytest.raises(refused.BlockTooLarge):
        state_transition(rich, fleet.genesis, block, now(block))


def test_model_blocks(fleet: Any, tasked: State) -> None:
    good = fleet.model_block(tasked, [0, 1, 2])
    info, updates = good.body.model_info, good.body.transactions
    fleet.apply(tasked, good)
    later = fleet.apply(tasked, good)
    wrong = {
        "model_id": "signs",
        "init_cid": RAW_CID,
        "total_iter": 4,
        "current_iter": 2,
        "from_addr": fleet.address(1),
        "accuracy": 0.999,
        "contributors": tuple(sorted([fleet.address(0), fleet.address(4)])),
    }
    for name, value in wrong.items():
        block = fleet.block(tasked, updates, replace(info, **{name: value}))
        with pytest.raises(refused.WrongModel, match=name):
            fleet.apply(tasked, block)
    with pytest.raises(refused.WrongModel, match="no task"):
        fleet.apply(fleet.start, fleet.block(fleet.start, [], info))
    with pytest.raises(refused.WrongModel, match="model flag"):
        fleet.apply(tasked, fleet.block(tasked, [], info, model_flag=0))
    with pytest.raises(refused.InvalidBlock, match="model_update in a block with model_flag 0"):
        fleet.apply(tasked, fleet.block(tasked, updates))
    with pytest.raises(refused.InvalidBlock, match="1 updates, the policy wants 2"):
        fleet.apply(tasked, fleet.model_block(tasked, [0]))
    with pytest.raises(refused.InvalidBlock, match="the parent is"):
        state_transition(later, fleet.genesis, good, now(good))


def test_the_accuracy_is_the_contributors_lower_median(fleet: Any, tasked: State) -> None:
    claims = [0.9, 0.2, 0.4, 1.0]
    updates = [fleet.update(i, tasked, accuracy=claim) for i, claim in enumerate(claims)]
    info = fleet.made_up_info(tasked, updates)
    assert info.accuracy == 0.4
    some = tuple(sorted(fleet.address(i) for i in (0, 1, 3)))
    info = replace(info, contributors=some, accuracy=0.9)
    state = fleet.apply(tasked, fleet.block(tasked, updates, info))
    assert state.task.last.accuracy == 0.9
    assert [state.balances[fleet.address(i)] for i in range(5)] == [20, 20, 0, 20, 0]


def test_a_full_iteration_of_many_members_fits_a_block(make_fleet: Any) -> None:
    fleet = make_fleet(200, difficulty=0)
    state = fleet.with_task()
    block = fleet.model_block(state, range(200))
    assert len(block.to_bytes()) < MAX_BLOCK_BYTES
    after = state_transition(state, fleet.genesis, block, now(block))
    assert after.learning_weight == 200


def test_a_header_mined_for_another_body(fleet: Any, tasked: State) -> None:
    block = fleet.block(tasked)
    swapped = Body((fleet.sign(0, Transfer(fleet.address(1), 1), tasked),))
    with pytest.raises(refused.BodyMismatch):
        state_transition(tasked, fleet.genesis, replace(block, body=swapped), now(block))


def test_a_second_task_learns_after_the_first_has_finished(fleet: Any) -> None:
    state = fleet.with_task(total_iter=1)
    state = fleet.apply(state, fleet.model_block(state, [0, 1]))
    state = fleet.apply(state, fleet.block(state, [fleet.sign(0, fleet.proposal("signs"), state)]))
    after = fleet.apply(state, fleet.model_block(state, [0, 1]))
    assert after.finished == ("lights",)
    assert after.task.current_iter == 1
