"""Commit–reveal on the chain, and when a stuck task may be replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bift_ros.consensus import exceptions as refused
from bift_ros.consensus.payloads import ModelUpdate, commitment_of
from bift_ros.consensus.state import State
from bift_ros.consensus.transaction_rules import check_transaction
from bift_ros.consensus.transactions import Transaction


@pytest.fixture(scope="module")
def fleet(make_fleet: Any) -> Any:
    return make_fleet(5, mode="bift", minimum_updates=3, update_wait_ms=10_000)


@pytest.fixture(scope="module")
def tasked(fleet: Any) -> State:
    state: State = fleet.with_task()
    return state


@pytest.fixture(scope="module")
def committed(fleet: Any, tasked: State) -> State:
    """Members 0, 1 and 2 have committed."""
    state: State = fleet.apply(tasked, fleet.block(tasked, commits(fleet, tasked, [0, 1, 2])))
    return state


def commits(fleet: Any, state: State, members: list[int]) -> list[Transaction]:
    return [fleet.commit(member, state) for member in members]


def refuse(
    fleet: Any, state: State, tx: Transaction, kind: type[Exception], said: str | None = None
) -> None:
    with pytest.raises(kind, match=said) as caught:
        check_transaction(state, fleet.genesis, tx)
    assert type(caught.value) is kind


def test_an_update_counts_only_after_its_commitment(
    fleet: Any, tasked: State, committed: State
) -> None:
    refuse(
        fleet,
        tasked,
        fleet.update(0, tasked),
        refused.NotYetValid,
        "has not committed in iteration",
    )
    refuse(
        fleet,
        committed,
        fleet.update(3, committed),
        refused.NotYetValid,
        "has not committed in iteration",
    )
    check_transaction(committed, fleet.genesis, fleet.update(0, committed))


def test_a_commitment_binds_cid_salt_and_member(fleet: Any, committed: State) -> None:
    mine = fleet.update(0, committed).payload
    assert isinstance(mine, ModelUpdate)
    refuse(
        fleet,
        committed,
        fleet.update(0, committed, salt=b"x"),
        refused.InvalidTransaction,
        "reveals another update than it committed to",
    )
    theirs = fleet.update(1, committed, cid=mine.cid)
    refuse(
        fleet,
        committed,
        theirs,
        refused.InvalidTransaction,
        "reveals another update than it committed to",
    )
    assert commitment_of(mine.cid, b"", fleet.address(0)) != commitment_of(
        mine.cid, b"", fleet.address(1)
    )


def test_a_member_commits_once(fleet: Any, tasked: State, committed: State) -> None:
    refuse(
        fleet,
        committed,
        fleet.commit(0, tasked),
        refused.DuplicateLearning,
        "has committed in iteration",
    )


def test_the_first_commits_come_together(fleet: Any, tasked: State) -> None:
    with pytest.raises(refused.InvalidBlock, match="2 commits, the policy wants 3"):
        fleet.apply(tasked, fleet.block(tasked, commits(fleet, tasked, [0, 1])))


def test_later_commits_wait_until_the_reveals_came_to_nothing(
    fleet: Any, tasked: State, committed: State
) -> None:
    late = commits(fleet, tasked, [4])
    with pytest.raises(refused.InvalidBlock, match="19999 ms after"):
        fleet.apply(committed, fleet.block(committed, late, later=19_999))
    again = fleet.apply(committed, fleet.block(committed, late, later=20_000))
    assert set(again.task.commitments) == {fleet.address(m) for m in (0, 1, 2, 4)}


def test_a_member_counts_once_for_commit_and_update(
    fleet: Any, tasked: State, committed: State
) -> None:
    assert committed.learning_weight == 3
    done = fleet.apply(committed, fleet.model_block(committed, [0, 1, 2]))
    assert done.learning_weight == 3
    assert done.work == 2 * committed.work
    assert done.task is not None
    assert done.task.commitments == {}
    assert done.task.committed_at is None


def test_commits_have_no_place_in_a_model_block(fleet: Any, committed: State) -> None:
    block = fleet.model_block(committed, [0, 1, 2])
    mixed = fleet.block(
        committed, (*block.body.transactions, fleet.commit(3, committed)), block.body.model_info
    )
    with pytest.raises(refused.InvalidBlock, match="model_commit in a block with model_flag 1"):
        fleet.apply(committed, mixed)


def test_paper_mode_knows_no_commitments(make_fleet: Any) -> None:
    fleet = make_fleet(5, mode="paper")
    tasked = fleet.with_task()
    refuse(
        fleet,
        tasked,
        fleet.commit(0, tasked),
        refused.InvalidTransaction,
        "runs without commit–reveal",
    )
    check_transaction(tasked, fleet.genesis, fleet.update(0, tasked))


def test_learning_is_numbered_by_its_iteration(fleet: Any, tasked: State) -> None:
    good = fleet.commit(0, tasked)
    assert good.sequence == good.payload.iteration
    refuse(fleet, tasked, replace(good, sequence=0), refused.BadSignature)


def test_a_task_nobody_can_begin_is_replaced_in_the_end(make_fleet: Any) -> None:
    fleet = make_fleet(5, task_timeout_ms=60_000)
    tasked = fleet.with_task()
    other = fleet.sign(1, fleet.proposal("signs"), tasked)
    with pytest.raises(refused.InvalidBlockTransaction, match="active"):
        fleet.apply(tasked, fleet.block(tasked, [other], later=59_999))
    after = fleet.apply(tasked, fleet.block(tasked, [other], later=60_000))
    assert after.task is not None
    assert after.task.model_id == "signs"
    assert after.finished == ("lights",)

    running = fleet.apply(tasked, fleet.model_block(tasked, [0, 1]))
    with pytest.raises(refused.InvalidBlockTransaction, match="active"):
        fleet.apply(running, fleet.block(running, [other], later=10**9))


def test_blocks_without_learning_keep_their_distance(make_fleet: Any) -> None:
    fleet = make_fleet(5, plain_interval_ms=1_000)
    with pytest.raises(refused.WrongTimestamp, match="999 ms after its parent"):
        fleet.apply(fleet.start, fleet.block(fleet.start, later=999))
    tasked = fleet.with_task()
    fleet.apply(tasked, fleet.model_block(tasked, [0, 1], later=1))
