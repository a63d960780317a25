"""Signed tips: what is remembered of a signature holds for its member and chain alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bift_ros.chain.tips import SignedTip, check_tip, read_votes, sign_tip
from bift_ros.consensus.exceptions import BadSignature, FieldError, UnknownSender
from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.consensus.votes import Stage, Statement, sign_vote
from bift_ros.identity.keys import KeyPair

KEY, OTHER = KeyPair.from_seed(bytes(32)), KeyPair.from_seed(bytes([1] * 32))
MEMBER = Member("car", KEY.public_key)
GENESIS = Genesis("here", 1, (MEMBER,), Policy(minimum_updates=1))
STATEMENT = Statement(2, 1, bytes(32), bytes(32), 1, bytes(32))


def tip(genesis_hash: bytes = GENESIS.hash) -> SignedTip:
    return sign_tip(
        KEY,
        genesis_hash,
        height=1,
        tip_hash=bytes(32),
        learning_weight=2,
        provider="",
        stamp=3,
        votes=(sign_vote(KEY, genesis_hash, Stage.PREVOTE, STATEMENT),),
    )


def test_a_tip_holds_again_and_again() -> None:
    said = tip()
    for each in (said, said, replace(said)):
        check_tip(each, GENESIS, GENESIS.by_address)


def test_a_checked_tip_is_checked_anew_on_another_chain() -> None:
    said, elsewhere = tip(), Genesis("there", 1, (MEMBER,), Policy(minimum_updates=1))
    check_tip(said, GENESIS, GENESIS.by_address)
    with pytest.raises(BadSignature):
        check_tip(said, elsewhere, elsewhere.by_address)
    check_tip(said, GENESIS, GENESIS.by_address)


def test_a_checked_tip_is_checked_anew_under_another_key() -> None:
    said = tip()
    check_tip(said, GENESIS, GENESIS.by_address)
    with pytest.raises(BadSignature):
        check_tip(said, GENESIS, {KEY.address: Member("car", OTHER.public_key)})
    with pytest.raises(UnknownSender):
        check_tip(said, GENESIS, {})


@pytest.mark.parametrize(
    "change",
    [
        {"height": 2}, {"hash": bytes([1] * 32)}, {"learning_weight": 3}, {"stamp": 4},
        {"provider": "http://elsewhere"}, {"final_height": 1}, {"prevote": b""},
        {"precommit": bytes(239)}, {"signature": bytes(64)},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_changed_tip_is_not_taken_for_the_checked_one(change: dict[str, object]) -> None:
    said = tip()
    check_tip(said, GENESIS, GENESIS.by_address)
    with pytest.raises(BadSignature):
        check_tip(replace(said, **change), GENESIS, GENESIS.by_address)  # type: ignore[arg-type]


def test_a_tip_brings_its_senders_votes() -> None:
    vote = sign_vote(KEY, GENESIS.hash, Stage.PREVOTE, STATEMENT)
    for said in (tip(), SignedTip.from_bytes(tip().to_bytes())):
        assert read_votes(said, GENESIS, GENESIS.by_address) == (vote,)


@pytest.mark.parametrize("key", [KEY, OTHER], ids=["of the other stage", "of another member"])
def test_a_tip_relays_no_other_votes(key: KeyPair) -> None:
    members = GENESIS.by_address | {OTHER.address: Member("van", OTHER.public_key)}
    data = sign_vote(key, GENESIS.hash, Stage.PREVOTE, STATEMENT).to_bytes()
    field = "precommit" if key is KEY else "prevote"
    said = replace(tip(), **{"prevote": b"", field: data})  # type: ignore[arg-type]
    with pytest.raises(FieldError, match=f"{field}: it is none of {KEY.address}"):
        read_votes(said, GENESIS, members)


def test_a_vote_in_a_tip_is_signed_by_itself() -> None:
    said = replace(tip(), prevote=sign_vote(KEY, bytes(32), Stage.PREVOTE, STATEMENT).to_bytes())
    with pytest.raises(BadSignature):
        read_votes(said, GENESIS, GENESIS.by_address)
