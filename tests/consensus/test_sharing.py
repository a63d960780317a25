"""Members list files for the fleet: whose, under which name, and for how long."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.consensus import exceptions as refused
from bift_ros.consensus.payloads import MembershipVote, ShareFile, WithdrawFile
from bift_ros.consensus.sharing import MAX_SHARES, shared_files
from bift_ros.consensus.state import State
from bift_ros.consensus.transaction_rules import apply_transaction, check_transaction
from bift_ros.storage.cid import cid_of


def share(name: str, label: object = 0) -> ShareFile:
    return ShareFile(name, cid_of(f"{name} {label}".encode()), 7, f"{name} {label}")


def said(fleet: Any, state: State, member: int, *payloads: ShareFile | WithdrawFile) -> State:
    """The state after one block in which a member says these."""
    transactions = [fleet.sign(member, p, state, ahead=n) for n, p in enumerate(payloads)]
    after: State = fleet.apply(state, fleet.block(state, transactions))
    return after


def listed(fleet: Any, state: State) -> list[tuple[int, str]]:
    """Who lists which file."""
    numbers = {fleet.address(n): n for n in range(len(fleet.keys))}
    return [(numbers[address], shared.file.cid) for address, shared in shared_files(state)]


def test_a_file_is_listed_with_its_member_and_time(fleet: Any) -> None:
    state = said(fleet, fleet.start, 1, share("tile"))
    ((address, shared),) = shared_files(state)
    assert address == fleet.address(1)
    assert shared.file == share("tile")
    assert shared.since == state.timestamp
    assert state.sequences[fleet.address(1)] == 1


def test_a_later_share_of_the_name_replaces_the_members_own_only(fleet: Any) -> None:
    state = said(fleet, fleet.start, 1, share("tile"))
    state = said(fleet, state, 2, share("tile", "other"))
    state = said(fleet, state, 1, share("tile", 2), share("road"))
    cids = [share("road").cid, share("tile", 2).cid, share("tile", "other").cid]
    owners = [owner for owner, _ in listed(fleet, state)]
    assert sorted(cid for _, cid in listed(fleet, state)) == sorted(cids)
    assert owners.count(1) == 2


def test_a_withdrawal_takes_the_members_own_file_off(fleet: Any) -> None:
    state = said(fleet, fleet.start, 1, share("tile"), share("road"))
    state = said(fleet, state, 2, share("tile"))
    state = said(fleet, state, 1, WithdrawFile("tile"))
    assert listed(fleet, state) == [(1, share("road").cid), (2, share("tile").cid)]
    state = said(fleet, state, 1, WithdrawFile("road"))
    assert fleet.address(1) not in state.shares
    again = said(fleet, state, 1, WithdrawFile("road"))  # never listed, or withdrawn before
    assert again.shares == state.shares


def test_a_list_is_bounded_but_a_name_on_it_may_be_replaced(fleet: Any) -> None:
    state = fleet.start
    for n in range(MAX_SHARES):
        state = apply_transaction(state, fleet.sign(0, share(f"tile_{n}"), state))
    with pytest.raises(refused.InvalidTransaction, match="must withdraw one"):
        check_transaction(state, fleet.genesis, fleet.sign(0, share("road"), state))
    check_transaction(state, fleet.genesis, fleet.sign(0, share("tile_3", 2), state))
    check_transaction(state, fleet.genesis, fleet.sign(1, share("road"), state))
    state = apply_transaction(state, fleet.sign(0, WithdrawFile("tile_9"), state))
    check_transaction(state, fleet.genesis, fleet.sign(0, share("road"), state))


def test_who_leaves_lists_no_files_any_more(fleet: Any) -> None:
    state = said(fleet, fleet.start, 4, share("tile"))
    state = said(fleet, state, 0, share("tile"))
    vote = MembershipVote("leave", "vehicle4", fleet.keys[4].public_key)
    state = fleet.apply(state, fleet.block(state, [fleet.sign(n, vote, state) for n in (0, 1, 2)]))
    assert listed(fleet, state) == [(0, share("tile").cid)]


steps = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from("abc"),
        st.none() | st.integers(0, 2),
    ),
    max_size=12,
)


@given(steps)
def test_the_list_is_what_was_said_last(fleet: Any, steps: list[Any]) -> None:
    state, expected = fleet.start, {}
    for member, name, label in steps:
        payload = WithdrawFile(name) if label is None else share(name, label)
        before = state
        state = apply_transaction(state, fleet.sign(member, payload, state))
        assert before.sequences != state.sequences
        expected[(member, name)] = None if label is None else payload
    found = {(address, shared.file.name): shared.file for address, shared in shared_files(state)}
    assert found == {
        (fleet.address(member), name): file
        for (member, name), file in expected.items()
        if file is not None
    }
