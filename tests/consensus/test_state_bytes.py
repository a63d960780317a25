"""Canonical bytes of states that real histories reach, their digest, and that they stay few."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bift_ros.chain.keyring import Keyring
from bift_ros.consensus import state_bytes as module
from bift_ros.consensus.encoding import decode, encode, sha256
from bift_ros.consensus.exceptions import InvalidTransaction, MalformedState
from bift_ros.consensus.key_epochs import MAX_EARLIER_KEYS
from bift_ros.consensus.membership import MAX_ACCOUNTS, check_vote
from bift_ros.consensus.payloads import (
    MembershipVote,
    ModelCommit,
    Payload,
    ShareFile,
    Transfer,
    WithdrawFile,
)
from bift_ros.consensus.state import MAX_FINISHED, State
from bift_ros.consensus.state_bytes import parse_state, state_bytes, state_digest
from bift_ros.consensus.transaction_rules import check_transaction
from bift_ros.consensus.transactions import Transaction
from bift_ros.identity.keys import KeyPair
from world.consortium import Consortium, cid_for

JOINERS = [KeyPair.from_seed(hashlib.sha256(bytes([n])).digest()) for n in range(3)]


def consortium(mode: str) -> Consortium:
    fleet = Consortium(4, mode=mode, encrypt_models=True, update_wait_ms=0, task_timeout_ms=0)
    fleet.keys += JOINERS
    return fleet


FLEETS = {mode: consortium(mode) for mode in ("bift", "paper")}


def said(fleet: Consortium, state: State, member: int, what: int) -> Payload:
    """One of the things that an account may say."""
    number = what // 8
    match what % 8:
        case 0:
            return Transfer(fleet.address(number % 7), 1 + number % 5)
        case 1 | 2:
            return fleet.proposal(f"task-{number % 9}", total_iter=1 + number % 2)
        case 3:
            return ShareFile(f"f{number % 3}", cid_for(number), number, "a drive")
        case 4:
            return WithdrawFile(f"f{number % 3}")
        case 5:
            return Keyring(fleet.keys[member], fleet.genesis.hash).own_key(state)
    other = number % 7
    address, action = fleet.address(other), "join"
    if address in state.members:
        action = "leave"
    name = state.members[address].name if action == "leave" else f"bus{other}"
    return MembershipVote(action, name, fleet.keys[other].public_key)


def accounts_block(fleet: Consortium, state: State, actions: list[tuple[int, int]]) -> State:
    """The state after a block with those of the actions that may stand."""
    after = state
    kept: list[Transaction] = []
    for member, what in actions:
        tx = fleet.sign(member, said(fleet, after, member, what), after)
        try:
            check_transaction(after, fleet.genesis, tx)
        except InvalidTransaction:
            continue
        kept.append(tx)
        after = fleet.apply(state, fleet.block(state, kept))
    return after


def learning_block(fleet: Consortium, state: State) -> State:
    """The state after a block of commits, or after one with a model, where there may be one."""
    task = state.task
    present = [n for n in range(len(fleet.keys)) if fleet.address(n) in state.members]
    if task is None or not state.keys or state.keys[-1].key.epoch != state.epoch:
        return state
    if fleet.genesis.policy.commit_reveal:
        if not task.commitments:
            commits = [fleet.commit(n, state) for n in present[:3]]
            return fleet.apply(state, fleet.block(state, commits))
        present = [n for n in present if fleet.address(n) in task.commitments]
    return fleet.apply(state, fleet.model_block(state, present)) if len(present) > 1 else state


@settings(max_examples=60)
@given(
    mode=st.sampled_from(sorted(FLEETS)),
    blocks=st.lists(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 200)), max_size=12), max_size=8
    ),
)
def test_states_of_real_histories_come_back_as_they_were(
    mode: str, blocks: list[list[tuple[int, int]]]
) -> None:
    fleet = FLEETS[mode]
    state = fleet.start
    for actions in blocks:
        spoken = accounts_block(fleet, state, actions)
        check_bytes_of(fleet, spoken)
        state = learning_block(fleet, spoken)
        check_bytes_of(fleet, state)


def check_bytes_of(fleet: Consortium, state: State) -> None:
    data = state_bytes(state)
    again = parse_state(data, fleet.genesis)
    assert again == state
    assert state_digest(again) == state_digest(state)
    by_hand = decode(data)
    by_hand[7:] = map(sha256, by_hand[7:])
    assert state_digest(state) == sha256(encode(by_hand))


def test_the_digest_is_cheap_where_little_has_changed(monkeypatch: Any) -> None:
    fleet = FLEETS["paper"]
    state = accounts_block(fleet, fleet.start, [(0, 3), (1, 3), (2, 5), (0, 1)])
    state_digest(state)
    written = []
    for name, write in list(module._WRITERS.items()):
        monkeypatch.setitem(
            module._WRITERS, name, lambda part, n=name, w=write: written.append(n) or w(part)
        )
    after = accounts_block(fleet, state, [(3, 4)])
    state_digest(after)
    assert sorted(written) == ["sequences", "shares"]
    assert state_digest(after) != state_digest(state)


@pytest.fixture
def rich() -> State:
    """A state with something in every part."""
    fleet = FLEETS["bift"]
    state = accounts_block(fleet, fleet.start, [(0, 5), (0, 1), (1, 3), (0, 3), (1, 6 + 8 * 4)])
    state = learning_block(fleet, learning_block(fleet, state))
    state = accounts_block(fleet, state, [(0, 1 + 8 * 11), (1, 3), (2, 6 + 8 * 5)])
    state = learning_block(fleet, state)
    assert state.ballots
    assert state.shares
    assert state.finished
    assert isinstance(state.task and state.task.commitments, dict)
    return state


def test_changed_bytes_are_refused_or_another_state(rich: State) -> None:
    genesis = FLEETS["bift"].genesis
    data = state_bytes(rich)
    digests = {state_digest(rich)}
    for place in range(0, len(data), 7):
        other = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        try:
            read = parse_state(other, genesis)
        except MalformedState:
            continue
        assert state_bytes(read) == other
        digests.add(state_digest(read))
    assert len(digests) > 1
    for cut in (0, 1, len(data) // 2, len(data) - 1):
        with pytest.raises(MalformedState):
            parse_state(data[:cut], genesis)


def test_another_order_or_a_second_entry_is_refused(rich: State) -> None:
    items = decode(state_bytes(rich))
    for number in range(7, 12):
        entries = decode(items[number])
        for changed in (entries[::-1], [*entries, entries[-1]]):
            if changed == entries:  # a single ballot
                continue
            other = [*items]
            other[number] = encode(changed)
            with pytest.raises(MalformedState, match="canonical form"):
                parse_state(encode(other), FLEETS["bift"].genesis)


def test_what_is_no_state_is_refused(rich: State, monkeypatch: Any) -> None:
    genesis, items = FLEETS["bift"].genesis, decode(state_bytes(rich))
    for number, value in (
        (0, "bift state 2"), (1, -1), (2, b""), (4, bytes(31)), (6, b"\0\1"), (6, 1), (7, b""),
        (9, encode([["a b", bytes(32)]])), (10, encode([[b"", []]])), (12, encode([[b"", b""]])),
        (13, encode([])), (15, encode(["A"])), (15, encode([1])), (7, encode([[1, 1]])),
    ):  # fmt: skip
        with pytest.raises(MalformedState):
            parse_state(encode([*items[:number], value, *items[number + 1 :]]), genesis)
    for other in (b"", encode(items[:-1]), encode([*items, b""]), encode(items) + b"\0"):
        with pytest.raises(MalformedState):
            parse_state(other, genesis)
    monkeypatch.setattr(module, "MAX_STATE_BYTES", 100)
    with pytest.raises(MalformedState, match="more than 100"):
        parse_state(encode(items), genesis)


def test_a_long_history_leaves_no_trace_in_the_state() -> None:
    """Tasks, iterations and changes of members come and go; the state stays as large as it was."""
    fleet = FLEETS["paper"]
    state = fleet.start
    sizes = []
    for number in range(3 * MAX_FINISHED):
        given_key = Keyring(fleet.keys[0], fleet.genesis.hash).own_key(state)
        proposal = fleet.proposal(f"task-{number:03}", total_iter=2)
        txs = [fleet.sign(0, given_key, state), fleet.sign(1, proposal, state)]
        state = fleet.apply(state, fleet.block(state, txs))
        for _ in range(2):
            state = fleet.apply(state, fleet.model_block(state, [0, 1]))
        vote = said(fleet, state, 0, 6 + 8 * 4)
        votes = [fleet.sign(n, vote, state) for n in range(3)]
        state = fleet.apply(state, fleet.block(state, votes))
        sizes.append(len(state_bytes(state)))
    assert len(state.finished) == MAX_FINISHED
    assert len(state.keys) == MAX_EARLIER_KEYS + 1
    assert max(sizes[2 * MAX_FINISHED :]) < max(sizes[: 2 * MAX_FINISHED]) + 100


def test_a_name_is_free_again_after_many_tasks() -> None:
    fleet = FLEETS["paper"]
    again = fleet.sign(0, fleet.proposal("lights"), fleet.start)
    names = tuple(f"task-{n}" for n in range(MAX_FINISHED))
    check_transaction(replace(fleet.start, finished=names), fleet.genesis, again)
    with pytest.raises(InvalidTransaction, match="an earlier task has the name lights"):
        check_transaction(
            replace(fleet.start, finished=(*names[1:], "lights")), fleet.genesis, again
        )


def test_whoever_leaves_takes_its_undecided_votes_along() -> None:
    fleet = FLEETS["paper"]
    join = MembershipVote("join", "bus4", fleet.keys[4].public_key)
    state = fleet.apply(fleet.start, fleet.block(fleet.start, [fleet.sign(3, join)]))
    assert state.ballots == {join: frozenset({fleet.address(3)})}
    leave = MembershipVote("leave", "vehicle3", fleet.keys[3].public_key)
    votes = [fleet.sign(n, leave, state) for n in range(3)]
    assert fleet.apply(state, fleet.block(state, votes)).ballots == {}


def test_accounts_are_bounded() -> None:
    fleet = FLEETS["paper"]
    balances = {f"{n:040x}": 0 for n in range(MAX_ACCOUNTS)}
    vote = MembershipVote("join", "bus4", fleet.keys[4].public_key)
    with pytest.raises(InvalidTransaction, match=f"there are {MAX_ACCOUNTS} accounts"):
        check_vote(replace(fleet.start, balances=balances), fleet.address(0), vote)
    known = {**dict(list(balances.items())[1:]), fleet.address(4): 7}
    check_vote(replace(fleet.start, balances=known), fleet.address(0), vote)


def test_commits_are_part_of_the_state() -> None:
    fleet = FLEETS["bift"]
    state = accounts_block(fleet, fleet.start, [(0, 5), (0, 1)])
    committed = learning_block(fleet, state)
    assert isinstance(fleet.commit(0, state).payload, ModelCommit)
    assert state_digest(committed) != state_digest(replace(committed, task=state.task))
