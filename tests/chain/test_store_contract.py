"""What every store of a chain keeps, on disk and in memory alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bift_ros.chain.exceptions import StoreError
from bift_ros.chain.interface import (
    MAX_EVIDENCE,
    MAX_MEMBERSHIP_CERTIFICATES,
    MAX_QUORUMS,
    Store,
)
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.votes import Stage, Statement, Vote, sign_vote
from bift_ros.simulation.memory_store import MemoryStore


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, fleet: Any) -> Store:
    if request.param == "disk":
        return ChainStore(":memory:", fleet.genesis)
    return MemoryStore(fleet.genesis, lambda block: None)


@pytest.fixture(scope="module")
def chain(fleet: Any) -> list[Block]:
    return grow(fleet, fleet.start, 5)


def grow(fleet: Any, state: Any, length: int, **changes: Any) -> list[Block]:
    blocks = []
    for _ in range(length):
        blocks.append(fleet.block(state, **changes))
        state = fleet.apply(state, blocks[-1])
    return blocks


def test_an_empty_store_stands_on_the_genesis(store: Store, fleet: Any) -> None:
    assert store.tip == fleet.genesis.hash
    assert store.has(fleet.genesis.hash)
    assert store.block(fleet.genesis.hash) is None
    assert store.canonical(1, 99) == []
    assert list(store.blocks()) == []
    assert store.evidence() == []
    assert store.note("key") is None


def test_accepted_blocks_form_the_chain(store: Store, chain: list[Block]) -> None:
    for block in chain:
        store.accept(block, block.hash)
        assert store.tip == block.hash
    assert list(store.blocks()) == chain
    assert store.canonical(1, 99) == chain
    assert store.canonical(2, 2) == chain[1:3]
    assert store.canonical(9, 2) == []
    assert store.canonical_headers(2, 2) == [block.signed_header for block in chain[1:3]]
    assert store.block(chain[2].hash) == chain[2]
    assert store.has(chain[2].hash)
    assert store.block(bytes(32)) is None
    assert not store.has(bytes(32))


def test_a_block_counts_once(store: Store, chain: list[Block]) -> None:
    for _ in range(2):
        store.accept(chain[0], chain[0].hash)
        store.add(chain[0])
    assert list(store.blocks()) == chain[:1]


def test_branches(store: Store, fleet: Any, chain: list[Block]) -> None:
    side = grow(fleet, fleet.apply(fleet.start, chain[0]), 3, miner=1)
    for block in chain:
        store.accept(block, block.hash)
    for block in side:
        store.add(block)
    assert store.canonical(1, 99) == chain
    store.set_tip(side[-1].hash)
    assert store.canonical(1, 99) == [chain[0], *side]
    store.set_tip(chain[1].hash)
    assert store.canonical(1, 99) == chain[:2]
    store.set_tip(fleet.genesis.hash)
    assert store.canonical(1, 99) == []
    assert list(store.blocks()) == [*chain, *side]


def test_what_does_not_fit_changes_nothing(store: Store, fleet: Any, chain: list[Block]) -> None:
    with pytest.raises(StoreError, match="parent of block"):
        store.accept(chain[1], chain[1].hash)
    with pytest.raises(StoreError, match="parent of block"):
        store.add(chain[1])
    with pytest.raises(StoreError, match="is not in the store"):
        store.accept(chain[0], bytes(32))
    with pytest.raises(StoreError, match="is not in the store"):
        store.set_tip(chain[0].hash)
    assert list(store.blocks()) == []
    assert store.tip == fleet.genesis.hash


def test_of_notes_the_newest_counts(store: Store) -> None:
    store.set_note("key", b"first")
    store.set_note("other", b"")
    store.set_note("key", b"second")
    assert store.note("key") == b"second"
    assert store.note("other") == b""


def test_evidence_counts_once_whatever_its_order(store: Store, chain: list[Block]) -> None:
    one, two, three = (block.signed_header for block in chain[:3])
    store.add_evidence(two.to_bytes(), one.to_bytes())
    store.add_evidence(one.to_bytes(), two.to_bytes())
    store.add_evidence(three.to_bytes(), three.to_bytes())
    kept = sorted((one, two), key=lambda signed: signed.to_bytes())
    assert store.evidence() == [tuple(kept), (three, three)]


def test_evidence_is_bounded(store: Store, chain: list[Block]) -> None:
    signed = chain[0].signed_header
    others = [
        replace(signed, signature=number.to_bytes(64, "big")).to_bytes()
        for number in range(2 * MAX_EVIDENCE + 2)
    ]
    for first, second in zip(others[::2], others[1::2], strict=True):
        store.add_evidence(first, second)
    kept = [(first.to_bytes(), second.to_bytes()) for first, second in store.evidence()]
    assert kept == list(zip(others[::2], others[1::2], strict=True))[:MAX_EVIDENCE]


def voted(fleet: Any, round_: int, stage: Stage = Stage.PREVOTE, block: int = 1) -> Vote:
    said = Statement(round_, 1, bytes([block]) * 32, bytes(32), 0, fleet.genesis.hash)
    return sign_vote(fleet.keys[0], fleet.genesis.hash, stage, said)


def test_the_newest_own_vote_of_each_stage_is_kept(store: Store, fleet: Any) -> None:
    assert store.votes() == {}
    first, second = voted(fleet, 1), voted(fleet, 2)
    precommit = voted(fleet, 1, Stage.PRECOMMIT)
    store.cast(first)
    store.cast(precommit, second)
    assert store.votes() == {Stage.PREVOTE: second, Stage.PRECOMMIT: precommit}


def test_quorums_are_kept_by_round_and_once(store: Store, fleet: Any) -> None:
    earlier, later = (Quorum.of([voted(fleet, round_)]) for round_ in (1, 2))
    rival = Quorum.of([voted(fleet, 2, block=2)])
    certificate = Quorum.of([voted(fleet, 1, Stage.PRECOMMIT)])
    for quorum in (later, rival, earlier, later, certificate):
        store.keep_quorum(quorum)
    assert store.quorums(Stage.PREVOTE) == [earlier, later, rival]
    assert store.quorums(Stage.PRECOMMIT) == [certificate]


def test_the_newest_quorums_are_kept_and_more_of_what_lasts(
    store: Store, fleet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bift_ros.chain.stored_votes.MAX_MEMBERSHIP_CERTIFICATES", 3)
    monkeypatch.setattr("bift_ros.simulation.memory_store.MAX_MEMBERSHIP_CERTIFICATES", 3)
    assert MAX_MEMBERSHIP_CERTIFICATES > 3
    one = Quorum.of([voted(fleet, 1)])
    last = MAX_QUORUMS + 20
    for round_ in range(1, last + 1):
        quorum = replace(one, statement=replace(one.statement, round=round_))
        store.keep_quorum(quorum, lasting=round_ % 4 == 0)
    rounds = [quorum.statement.round for quorum in store.quorums(Stage.PREVOTE)]
    assert rounds == [12, 16, 20, *range(21, last + 1)]
