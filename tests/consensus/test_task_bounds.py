"""A task has a bound from the genesis, and ends where enough members vote against it."""

from __future__ import annotations

from typing import Any

import pytest

from bift_ros.consensus.exceptions import InvalidBlockTransaction, InvalidTransaction
from bift_ros.consensus.payloads import CancelTask, MembershipVote
from bift_ros.consensus.state import State
from bift_ros.consensus.state_bytes import parse_state, state_bytes
from bift_ros.consensus.transaction_rules import check_transaction
from world.consortium import Consortium

CANCEL = CancelTask("lights")


def cancelled(fleet: Consortium, state: State, *voters: int) -> State:
    """The state after a block with these members' votes against the task."""
    return fleet.apply(state, fleet.block(state, [fleet.sign(v, CANCEL, state) for v in voters]))


@pytest.fixture(scope="module")
def tasked(fleet: Consortium) -> State:
    return fleet.with_task()


def test_a_proposal_beyond_the_bound_is_refused(make_fleet: Any) -> None:
    fleet = make_fleet(max_task_iterations=7)
    long = fleet.sign(0, fleet.proposal(total_iter=8))
    with pytest.raises(InvalidTransaction, match="8 iterations, the policy allows 7"):
        check_transaction(fleet.start, fleet.genesis, long)
    with pytest.raises(InvalidBlockTransaction):
        fleet.apply(fleet.start, fleet.block(fleet.start, [long]))
    assert fleet.with_task(total_iter=7).task is not None


def test_a_task_ends_by_more_than_the_threshold(fleet: Consortium, tasked: State) -> None:
    two = cancelled(fleet, cancelled(fleet, tasked, 0), 1)
    assert two.task is not None
    assert two.task.opponents == {fleet.address(0), fleet.address(1)}
    assert parse_state(state_bytes(two), fleet.genesis) == two
    three = cancelled(fleet, two, 2)
    assert (three.task, three.finished) == (None, ("lights",))
    assert three.latest_task is not None
    assert not three.latest_task.finished
    assert parse_state(state_bytes(three), fleet.genesis) == three
    late = fleet.update(3, tasked)
    with pytest.raises(InvalidTransaction, match="is finished"):
        check_transaction(three, fleet.genesis, late)
    again = fleet.block(three, [fleet.sign(3, fleet.proposal("signs"), three)])
    after = fleet.apply(three, again)
    assert after.task is not None
    assert (after.task.model_id, after.task.opponents) == ("signs", frozenset())


def test_votes_outlast_iterations(fleet: Consortium, tasked: State) -> None:
    state = cancelled(fleet, tasked, 0, 1)
    state = fleet.apply(state, fleet.model_block(state, range(3)))
    assert state.task is not None
    assert state.task.current_iter == 1
    assert cancelled(fleet, state, 2).task is None


def test_a_block_that_ends_the_task_still_brings_its_model(
    fleet: Consortium, tasked: State
) -> None:
    updates = [fleet.update(member, tasked) for member in range(3)]
    votes = [fleet.sign(member, CANCEL, tasked) for member in range(3)]
    said = [tx for pair in zip(updates, votes, strict=True) for tx in pair]
    after = fleet.apply(tasked, fleet.block(tasked, said, fleet.made_up_info(tasked, said)))
    assert after.task is None
    assert after.latest_task is not None
    assert after.latest_task.current_iter == 1
    assert sum(after.balances.values()) == 3 * fleet.genesis.policy.reward


def test_a_commit_block_may_end_the_task(make_fleet: Any) -> None:
    fleet = make_fleet(mode="bift")
    state = fleet.with_task()
    commits = [fleet.commit(member, state) for member in range(3)]
    votes = [fleet.sign(member, CANCEL, state) for member in range(3)]
    assert fleet.apply(state, fleet.block(state, [*votes, *commits])).task is None


@pytest.mark.parametrize(
    ("voter", "vote", "fault"),
    [(0, CANCEL, "has voted to cancel lights already"), (1, CancelTask("signs"), "no task signs")],
)
def test_votes_that_make_no_sense(
    fleet: Consortium, tasked: State, voter: int, vote: CancelTask, fault: str
) -> None:
    state = cancelled(fleet, tasked, 0)
    with pytest.raises(InvalidTransaction, match=fault):
        check_transaction(state, fleet.genesis, fleet.sign(voter, vote, state))


def test_votes_of_those_who_left_count_no_more(make_fleet: Any) -> None:
    fleet = make_fleet(6)
    state = cancelled(fleet, fleet.with_task(), 0, 1)
    leave = MembershipVote("leave", fleet.members[0].name, fleet.members[0].public_key)
    votes = [fleet.sign(member, leave, state) for member in range(1, 5)]
    state = fleet.apply(state, fleet.block(state, votes))
    assert state.task is not None
    assert state.task.opponents == {fleet.address(1)}
    assert cancelled(fleet, state, 2).task is not None  # two of five
    assert cancelled(fleet, state, 2, 3).task is None
