"""How much an account may say on the chain's time, and what it never holds up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.chain.keyring import Keyring
from bift_ros.consensus.exceptions import InvalidBlockTransaction, NotYetValid
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.payloads import Payload, WithdrawFile
from bift_ros.consensus.state import State
from bift_ros.consensus.state_bytes import parse_state, state_bytes
from bift_ros.consensus.transaction_rules import check_transaction
from bift_ros.identity.sealing import COPY_BYTES
from world.consortium import Consortium

WORD = WithdrawFile("nothing")
BURST, INTERVAL = 4, 1_000


@pytest.fixture(scope="module")
def budgeted() -> Consortium:
    return Consortium(3, account_burst=BURST, account_interval_ms=INTERVAL, encrypt_models=True)


def say(fleet: Consortium, state: State, member: int, *payloads: Payload, later: int = 1) -> State:
    said = [fleet.sign(member, p, state, ahead=ahead) for ahead, p in enumerate(payloads)]
    return fleet.apply(state, fleet.block(state, said, later=later))


def test_a_burst_and_then_one_each_interval(budgeted: Consortium) -> None:
    state = say(budgeted, budgeted.start, 0, *[WORD] * BURST)
    with pytest.raises(InvalidBlockTransaction, match="must wait 1 ms"):
        say(budgeted, state, 0, WORD, later=INTERVAL - 1)
    with pytest.raises(InvalidBlockTransaction, match="must wait 1000 ms"):
        say(budgeted, state, 0, WORD, WORD, later=INTERVAL)
    state = say(budgeted, state, 0, WORD, later=INTERVAL)
    say(budgeted, state, 0, *[WORD] * BURST, later=BURST * INTERVAL)
    with pytest.raises(InvalidBlockTransaction):
        say(budgeted, state, 0, *[WORD] * (BURST + 1), later=100 * INTERVAL)


def test_each_member_has_its_own(budgeted: Consortium) -> None:
    state = say(budgeted, budgeted.start, 0, *[WORD] * BURST)
    assert set(state.full_at) == {budgeted.address(0)}
    assert parse_state(state_bytes(state), budgeted.genesis) == state
    state = say(budgeted, state, 1, *[WORD] * BURST)
    assert len(state.full_at) == 2
    state = say(budgeted, state, 2, WORD, later=BURST * INTERVAL)  # the others' are full again
    assert set(state.full_at) == {budgeted.address(2)}


@given(gaps=st.lists(st.integers(1, 3 * INTERVAL), min_size=1, max_size=30))
def test_no_more_than_a_burst_and_one_each_interval(gaps: list[int]) -> None:
    fleet = Consortium(3, account_burst=BURST, account_interval_ms=INTERVAL, difficulty=0)
    state, said = fleet.start, 0
    for gap in gaps:
        for count in range(BURST + 1, -1, -1):
            try:
                state = say(fleet, state, 0, *[WORD] * count, later=gap)
            except InvalidBlockTransaction:
                continue
            said += count
            break
        passed = state.timestamp - fleet.start.timestamp
        assert said <= BURST + passed // INTERVAL


def test_a_key_that_members_need_is_never_held_up(budgeted: Consortium) -> None:
    state = say(budgeted, budgeted.start, 0, *[WORD] * BURST)
    key = Keyring(budgeted.keys[0], budgeted.genesis.hash).own_key(state)
    given_key = say(budgeted, state, 0, key)
    assert given_key.keys
    assert given_key.full_at == state.full_at
    again = Keyring(budgeted.keys[0], budgeted.genesis.hash).own_key(state)
    with pytest.raises(NotYetValid, match="must wait"):  # a second one nobody needs
        check_transaction(given_key, budgeted.genesis, budgeted.sign(0, again, given_key))


def test_large_transactions_take_more(budgeted: Consortium) -> None:
    large = GroupKey(bytes(32), bytes(32), bytes(COPY_BYTES * 100), b"", b"")
    state = say(budgeted, budgeted.start, 0, large)
    debt = state.full_at[budgeted.address(0)] - state.timestamp
    assert debt == 3 * INTERVAL
    say(budgeted, state, 0, WORD)
    with pytest.raises(InvalidBlockTransaction):
        say(budgeted, state, 0, WORD, WORD)


def test_learning_takes_nothing(make_fleet: Any) -> None:
    fleet = make_fleet(3, account_burst=1, account_interval_ms=INTERVAL)
    state = fleet.with_task()
    before = state.full_at
    for _ in range(2):
        state = fleet.apply(state, fleet.model_block(state, range(3)))
    assert state.full_at == before
