"""Evidence of two votes excludes their member, and its key for good."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bift_ros.consensus.double_votes import double_vote
from bift_ros.consensus.exceptions import (
    EncodingError,
    FieldError,
    InvalidTransaction,
    NotYetValid,
    UnknownSender,
)
from bift_ros.consensus.key_epochs import next_epoch
from bift_ros.consensus.payloads import (
    CancelTask,
    DoubleVote,
    MembershipVote,
    ShareFile,
    parse_payload,
    payload_bytes,
)
from bift_ros.consensus.state import State
from bift_ros.consensus.state_bytes import parse_state, state_bytes
from bift_ros.consensus.transaction_rules import apply_transaction, check_transaction
from bift_ros.consensus.votes import Stage, Statement, Vote, sign_vote
from bift_ros.identity.keys import KeyPair
from world.consortium import cid_for

LIAR = 4


def vote(fleet: Any, block: int, member: int = LIAR, round_: int = 3, **how: Any) -> Vote:
    said = Statement(round_, 1, bytes([block]) * 32, bytes(32), 0, fleet.genesis.hash)
    key = how.get("key", fleet.keys[member])
    return sign_vote(key, how.get("genesis_hash", fleet.genesis.hash), Stage.PREVOTE, said)


@pytest.fixture
def evidence(fleet: Any) -> DoubleVote:
    return double_vote(vote(fleet, 1), vote(fleet, 2))


def say(fleet: Any, state: State, member: int, payload: Any) -> State:
    tx = fleet.sign(member, payload, state)
    check_transaction(state, fleet.genesis, tx)
    return apply_transaction(state, tx)


def test_evidence_has_one_form(fleet: Any, evidence: DoubleVote) -> None:
    one, two = vote(fleet, 1), vote(fleet, 2)
    assert double_vote(two, one) == double_vote(one, two) == evidence
    assert parse_payload(payload_bytes(evidence)) == evidence
    assert evidence.accused == fleet.address(LIAR)
    for first, second in (
        (evidence.second, evidence.first),
        (evidence.first, evidence.first),
        sorted((vote(fleet, 1).to_bytes(), vote(fleet, 2, 1).to_bytes())),
    ):
        with pytest.raises(FieldError):
            DoubleVote(first, second)
    with pytest.raises(EncodingError):
        DoubleVote(bytes(200), evidence.second)


def test_a_double_vote_excludes_its_member_at_once_and_for_good(
    fleet: Any, evidence: DoubleVote
) -> None:
    liar = fleet.genesis.members[LIAR]
    state = say(fleet, fleet.with_task(), LIAR, ShareFile("map", cid_for("map"), 1, ""))
    state = say(fleet, state, LIAR, CancelTask("lights"))
    state = say(fleet, state, 1, MembershipVote("leave", liar.name, liar.public_key))
    after = say(fleet, state, 0, evidence)
    assert after.excluded == {liar.address}
    assert set(after.members) == set(fleet.genesis.addresses[:LIAR])
    assert after.epoch == next_epoch(state.epoch, "exclude", liar.public_key)
    assert (after.shares, after.ballots, after.task.opponents) == ({}, {}, frozenset())
    assert after.balances == state.balances
    assert parse_state(state_bytes(after), fleet.genesis) == after
    with pytest.raises(UnknownSender):
        say(fleet, after, LIAR, CancelTask("lights"))
    with pytest.raises(InvalidTransaction, match="no member any more"):
        say(fleet, after, 1, evidence)
    with pytest.raises(InvalidTransaction, match="voted twice"):
        say(fleet, after, 1, MembershipVote("join", "other", liar.public_key))


def test_it_counts_however_few_are_left(make_fleet: Any) -> None:
    fleet = make_fleet(2, minimum_updates=2)
    proof = double_vote(vote(fleet, 1, 1), vote(fleet, 2, 1))
    assert list(say(fleet, fleet.start, 0, proof).members) == [fleet.address(0)]


def test_what_proves_nothing_is_refused(fleet: Any, evidence: DoubleVote) -> None:
    state, honest = fleet.start, double_vote(vote(fleet, 1), vote(fleet, 2, round_=4))
    with pytest.raises(InvalidTransaction, match="honest"):
        say(fleet, state, 0, honest)
    elsewhere = vote(fleet, 1, genesis_hash=bytes(32))
    with pytest.raises(InvalidTransaction, match="not signed"):
        say(fleet, state, 0, double_vote(elsewhere, vote(fleet, 2)))
    forged = replace(vote(fleet, 1), signature=bytes(64))
    with pytest.raises(InvalidTransaction, match="not signed"):
        say(fleet, state, 0, double_vote(forged, vote(fleet, 2)))
    at_stage = 43
    torn = evidence.second[:at_stage] + b"\x09" + evidence.second[at_stage + 1 :]
    with pytest.raises(InvalidTransaction, match="no votes"):
        say(fleet, state, 0, DoubleVote(evidence.first, torn))
    stranger = KeyPair.from_seed(bytes(32))
    with pytest.raises(NotYetValid, match="has not joined"):
        say(fleet, state, 0, double_vote(*(vote(fleet, n, key=stranger) for n in (1, 2))))
