"""How often iterations wait in vain for a member, however it spreads its misses."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bift_ros.consensus.attendance import PATIENCE, absentees, after_iteration
from bift_ros.consensus.payloads import MembershipVote
from bift_ros.consensus.state import changed
from bift_ros.consensus.state_bytes import parse_state, state_bytes
from world.consortium import Consortium

FLEET = Consortium(3)
LIAR = FLEET.address(2)
HONEST = {FLEET.address(0), FLEET.address(1)}


@given(present=st.lists(st.booleans(), max_size=400))
def test_misses_are_bounded_however_they_are_spread(present: list[bool]) -> None:
    state, in_vain = FLEET.start, 0
    for comes in present:
        in_vain += not comes and LIAR not in absentees(state)
        who = HONEST | {LIAR} if comes else HONEST
        state = changed(state, missed=after_iteration(state, who))
        assert set(state.missed) <= {LIAR}
        assert state.missed.get(LIAR, 0) < 2 * PATIENCE
    assert in_vain <= 2 + len(present) // (PATIENCE - 1)


def test_two_misses_in_a_row_and_a_long_time_after() -> None:
    state, waited = FLEET.start, []
    for _ in range(3 * PATIENCE):
        waited.append(LIAR not in absentees(state))
        state = changed(state, missed=after_iteration(state, HONEST))
    assert [number for number, each in enumerate(waited) if each] == [
        0, 1, PATIENCE + 1, 2 * PATIENCE + 1,
    ]  # fmt: skip


def test_the_chain_tells_it(make_fleet: Any) -> None:
    fleet = make_fleet(minimum_updates=2)
    state = fleet.with_task(total_iter=9)
    for _ in range(2):
        assert absentees(state) == frozenset()
        state = fleet.apply(state, fleet.model_block(state, [0, 1, 2]))
    assert absentees(state) == {fleet.address(3), fleet.address(4)}
    assert parse_state(state_bytes(state), fleet.genesis) == state
    left = state.missed[fleet.address(4)]
    state = fleet.apply(state, fleet.model_block(state, range(5)))  # what comes counts
    assert state.balances[fleet.address(4)] == fleet.genesis.policy.reward
    assert state.missed[fleet.address(4)] == left - 1


def test_who_leaves_is_forgotten(make_fleet: Any) -> None:
    fleet = make_fleet(minimum_updates=2)
    state = fleet.with_task(total_iter=9)
    state = fleet.apply(state, fleet.model_block(state, [0, 1, 2, 3]))
    assert set(state.missed) == {fleet.address(4)}
    vote = MembershipVote("leave", fleet.members[4].name, fleet.members[4].public_key)
    votes = [fleet.sign(member, vote, state) for member in range(3)]
    state = fleet.apply(state, fleet.block(state, votes))
    state = fleet.apply(state, fleet.model_block(state, [0, 1, 2, 3]))
    assert state.missed == {}
