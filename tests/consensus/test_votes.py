"""Votes and quorums: their bytes, who signed them, and what no honest member casts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.consensus.exceptions import BadQuorum, BadSignature, FieldError, UnknownSender
from bift_ros.consensus.fields import MAX_INTEGER
from bift_ros.consensus.payloads import MAX_VOTE_BYTES
from bift_ros.consensus.quorums import MAX_QUORUM_BYTES, Quorum, check_quorum, is_quorum
from bift_ros.consensus.votes import (
    Stage,
    Statement,
    Vote,
    is_double_vote,
    read_vote,
    sign_vote,
)
from world.consortium import LearningConsortium

FLEET = LearningConsortium(7)
GENESIS = FLEET.genesis
HASHES = st.binary(min_size=32, max_size=32)
STATEMENTS = st.builds(
    lambda low, gap, *rest: Statement(low + gap, *rest[:3], low, rest[3]),
    st.integers(0, 4), st.integers(1, 4), st.integers(1, 9), HASHES, HASHES, HASHES,
)  # fmt: skip


def statement(round_: int, block: int = 1, source: int = 0) -> Statement:
    return Statement(round_, 1, bytes([block]) * 32, bytes(32), source, GENESIS.hash)


def vote(member: int, stage: Stage, said: Statement) -> Vote:
    return sign_vote(FLEET.keys[member], GENESIS.hash, stage, said)


@given(st.integers(0, 6), st.sampled_from(Stage), STATEMENTS)
def test_a_vote_is_read_as_it_was_cast(member: int, stage: Stage, said: Statement) -> None:
    cast = vote(member, stage, said)
    assert read_vote(cast.to_bytes(), GENESIS, GENESIS.by_address) == cast


def test_the_largest_vote_and_quorum_are_within_their_bounds() -> None:
    said = Statement(MAX_INTEGER, MAX_INTEGER, bytes(32), bytes(32), MAX_INTEGER - 1, bytes(32))
    cast = vote(0, Stage.PRECOMMIT, said)
    assert len(cast.to_bytes()) <= MAX_VOTE_BYTES
    quorum = Quorum.of(replace(cast, sender=f"{n:040x}") for n in range(1000))
    assert Quorum.from_bytes(quorum.to_bytes()) == quorum
    assert len(quorum.to_bytes()) <= MAX_QUORUM_BYTES


def test_nothing_is_read_that_its_sender_did_not_sign() -> None:
    data = vote(0, Stage.PREVOTE, statement(1)).to_bytes()
    with pytest.raises(BadSignature):
        read_vote(data[:-1] + bytes([data[-1] ^ 1]), GENESIS, GENESIS.by_address)
    with pytest.raises(UnknownSender):
        read_vote(data, GENESIS, {})


@pytest.mark.parametrize("source", [3, 4])
def test_a_source_lies_before_its_round(source: int) -> None:
    with pytest.raises(FieldError):
        statement(3, source=source)


@pytest.mark.parametrize(
    ("first", "second", "double"),
    [
        ((Stage.PREVOTE, statement(3, 1)), (Stage.PREVOTE, statement(3, 2)), True),
        ((Stage.PREVOTE, statement(3, 1)), (Stage.PREVOTE, statement(3, 1, 2)), True),
        ((Stage.PREVOTE, statement(3, 1)), (Stage.PREVOTE, statement(3, 1)), False),
        ((Stage.PREVOTE, statement(3, 1)), (Stage.PREVOTE, statement(4, 2)), False),
        ((Stage.PRECOMMIT, statement(3, 1)), (Stage.PRECOMMIT, statement(3, 2)), True),
        ((Stage.PRECOMMIT, statement(3, 1)), (Stage.PREVOTE, statement(4, 2, 2)), True),
        ((Stage.PRECOMMIT, statement(3, 1)), (Stage.PREVOTE, statement(4, 2, 3)), False),
        ((Stage.PRECOMMIT, statement(3, 1)), (Stage.PREVOTE, statement(2, 2, 0)), False),
        ((Stage.PRECOMMIT, statement(3, 1)), (Stage.PREVOTE, statement(3, 2, 0)), False),
    ],
)
def test_what_no_honest_member_casts(first, second, double: bool) -> None:
    assert is_double_vote(vote(0, *first), vote(0, *second)) is double
    assert is_double_vote(vote(0, *second), vote(0, *first)) is double
    assert not is_double_vote(vote(0, *first), vote(1, *second))


def test_a_quorum_is_more_than_two_thirds_of_every_electorate() -> None:
    addresses = GENESIS.addresses
    assert is_quorum(addresses[:5], [GENESIS.by_address])
    assert not is_quorum(addresses[:4], [GENESIS.by_address])
    three = {address: GENESIS.by_address[address] for address in addresses[:3]}
    assert not is_quorum(addresses[:2], [three])
    assert not is_quorum(addresses[2:], [GENESIS.by_address, three])


def test_a_quorum_holds_only_what_its_voters_signed() -> None:
    quorum = Quorum.of(vote(n, Stage.PRECOMMIT, statement(1)) for n in (4, 2, 0, 1, 3))
    electorates = [GENESIS.by_address]
    check_quorum(Quorum.from_bytes(quorum.to_bytes()), GENESIS, electorates)
    (sender, _), *others = quorum.signatures
    with pytest.raises(BadSignature):
        check_quorum(
            replace(quorum, signatures=((sender, bytes(64)), *others)), GENESIS, electorates
        )
    with pytest.raises(BadQuorum):
        check_quorum(replace(quorum, signatures=tuple(others)), GENESIS, electorates)
    twice = replace(quorum, signatures=(quorum.signatures[0], *quorum.signatures))
    with pytest.raises(BadQuorum):
        Quorum.from_bytes(twice.to_bytes())
    fewer = {a: m for a, m in GENESIS.by_address.items() if a != sender}
    all_seven = Quorum.of(vote(n, Stage.PRECOMMIT, statement(1)) for n in range(7))
    with pytest.raises(UnknownSender):
        check_quorum(all_seven, GENESIS, [fewer])
