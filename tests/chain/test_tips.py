"""Signed tips: what is remembered of a signature holds for its member and chain alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bift_ros.chain.tips import SignedTip, check_tip, sign_tip
from bift_ros.consensus.exceptions import BadSignature, UnknownSender
from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.identity.keys import KeyPair

KEY, OTHER = KeyPair.from_seed(bytes(32)), KeyPair.from_seed(bytes([1] * 32))
MEMBER = Member("car", KEY.public_key)
GENESIS = Genesis("here", 1, (MEMBER,), Policy(minimum_updates=1))


def tip(genesis_hash: bytes = GENESIS.hash) -> SignedTip:
    return sign_tip(
        KEY, genesis_hash, height=1, tip_hash=bytes(32), learning_weight=2, provider="", stamp=3
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
        {"provider": "http://elsewhere"}, {"signature": bytes(64)},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_changed_tip_is_not_taken_for_the_checked_one(change: dict[str, object]) -> None:
    said = tip()
    check_tip(said, GENESIS, GENESIS.by_address)
    with pytest.raises(BadSignature):
        check_tip(replace(said, **change), GENESIS, GENESIS.by_address)  # type: ignore[arg-type]
