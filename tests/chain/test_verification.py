"""Checking a stored chain: from its first block on, or from the lowest one that is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bift_ros.chain import blockchain as chain_module
from bift_ros.chain import branch_states
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.certificates import check_certificate
from bift_ros.chain.interface import KEPT_MODELS, Snapshot
from bift_ros.chain.store import ChainStore
from bift_ros.chain.verification import blocks_of, lowest_state, replay, verify_chain
from bift_ros.consensus.exceptions import BadQuorum, ChainError
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.state_bytes import state_bytes
from bift_ros.consensus.transition import state_transition
from bift_ros.storage.interface import NotFound
from world.consortium import LearningConsortium

MODELS = 20


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (chain_module, branch_states):
        monkeypatch.setattr(module, "STATE_SPACING", 4)
    monkeypatch.setattr(chain_module, "KEPT_BLOCKS", 4)


class Learnt:
    """A chain of models, every block of which is final, and the files of all of them."""

    def __init__(self, certified: bool = True) -> None:
        self.world = LearningConsortium(4)
        self.store = ChainStore(":memory:", self.world.genesis)
        self.chain = Blockchain(self.world.genesis, self.store)
        self.certified = certified
        self.add(self.world.task_block(total_iter=MODELS + 1))
        for _ in range(MODELS):
            state = self.chain.tip_state
            self.add(self.world.model_block(state, self.world.updates(range(3), state)))

    def add(self, block: Any) -> None:
        state = self.chain.tip_state
        after = state_transition(state, self.world.genesis, block, block.header.timestamp)
        self.chain.add(block, after)
        if self.certified:
            self.chain.finalize(Quorum.from_bytes(self.world.certificate(after)))

    def fetch(self, cid: str) -> bytes:
        if cid not in self.world.files:
            raise NotFound(f"no file {cid}")
        return self.world.files[cid]

    def verify(self) -> Any:
        return verify_chain(self.world.genesis, self.store, self.fetch)


def test_a_pruned_chain_is_verified_from_its_lowest_block() -> None:
    learnt = Learnt()
    base = learnt.store.base.height
    assert base > 4
    result = learnt.verify()
    assert result.problem is None
    assert (result.since, result.unchecked, result.final) == (base, 0, 20)
    assert len(result.models) == MODELS + 1 - base
    assert result.state == learnt.chain.tip_state
    assert result.rewards_paid == 3 * 20 * len(result.models)
    assert replay(learnt.world.genesis, learnt.store) == learnt.chain.tip_state


def test_files_that_are_kept_no_more_are_no_fault() -> None:
    learnt = Learnt(certified=False)
    blocks = [block for block in blocks_of(learnt.store) if block.body.model_info]
    for block in blocks[: -KEPT_MODELS - 2]:
        for cid in block.body.update_cids:
            learnt.world.files.pop(cid, None)
    result = learnt.verify()
    assert result.problem is None
    assert len(result.models) == KEPT_MODELS + 2
    assert (result.since, result.unchecked) == (0, MODELS - KEPT_MODELS - 2)
    assert result.rewards_paid == 3 * 20 * MODELS
    (newest, *_) = blocks[-1].body.update_cids
    del learnt.world.files[newest]
    assert f"no file {newest}" in learnt.verify().problem


def test_a_snapshot_that_the_members_did_not_certify_is_found() -> None:
    learnt = Learnt()
    newest = learnt.store.snapshots()[0]
    forged = replace(newest, certificate=learnt.world.certificate(learnt.chain.tip_state))
    learnt.store.keep_snapshot(forged, learnt.store.base)
    assert learnt.verify().problem.startswith("block 20: the certificate is for block 21")


def test_a_certificate_is_for_one_block_and_one_state_by_enough_members() -> None:
    world = LearningConsortium(4)
    state = world.apply(world.start, world.task_block())
    other = world.apply(world.start, world.task_block(total_iter=9))
    electorates = [state.members]

    def check(certificate: bytes) -> None:
        snapshot = Snapshot(state.tip_hash, state.height, state_bytes(state), certificate)
        check_certificate(snapshot, state, world.genesis, electorates)

    check(world.certificate(state))
    check(world.certificate(state, [0, 1, 3]))
    with pytest.raises(BadQuorum, match="not more than two thirds"):
        check(world.certificate(state, [0, 1]))
    with pytest.raises(BadQuorum, match="is for block 1"):
        check(world.certificate(other))
    with pytest.raises(BadQuorum, match="another state"):
        check(world.certificate(replace(state, learning_weight=9)))
    with pytest.raises(ChainError):
        check(b"\x80")


def test_the_lowest_state_is_the_genesis_until_something_goes() -> None:
    learnt = Learnt(certified=False)
    assert lowest_state(learnt.world.genesis, learnt.store) == learnt.world.start
