"""A chain's store on a full disk: nothing crashes, nothing is said too early, nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.exceptions import NotKept, StoreError
from bift_ros.consensus.blocks import MIN_NONCE
from bift_ros.consensus.payloads import ShareFile
from bift_ros.consensus.proof_of_work import search
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import (
    BroadcastBlock,
    BroadcastTransaction,
    EquivocationFound,
    Mine,
    Refused,
    TipChanged,
    Train,
)
from bift_ros.peer.events import DatasetChanged, NonceFound, Submit, Trained
from bift_ros.simulation.faulty_store import FaultyStore
from bift_ros.storage.cid import cid_of
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of

CHECKER = PeerConfig(mine=False, train=False)
CID = cid_of(b"an update")


class Disk:
    """Under a chain's store."""

    full = False

    def write(self, moment: str) -> None:
        if self.full:
            raise StoreError("database or disk is full")


def driven(world: LearningConsortium, member: int, config: PeerConfig) -> tuple[PeerDriver, Disk]:
    disk = Disk()
    store = FaultyStore(world.genesis, lambda block: None, disk.write)
    return PeerDriver(world, member, config, Blockchain(world.genesis, store)), disk


def complaints(effects: list[Any]) -> list[str]:
    return [refused.reason for refused in of(Refused, effects) if refused.what == "store"]


def test_a_block_is_accepted_once_there_is_room() -> None:
    world = LearningConsortium(4)
    peer, disk = driven(world, 0, CHECKER)
    first = world.task_block()
    second = world.block(
        world.apply(world.start, first), [world.sign(1, ShareFile("a", CID, 1, ""))], later=1_000
    )
    disk.full = True
    effects = peer.block(first, second)
    assert of(TipChanged, effects) == []
    assert "block 1 can't be kept" in complaints(effects)[0]
    assert "full" in complaints(effects)[0]
    # It is tried more and more seldom, and a person hears of it at least twice a minute.
    said = complaints(peer.wait(120_000))
    assert 4 <= len(said) <= 10
    disk.full = False
    peer.wait(40_000)
    assert peer.state.tip_hash == second.hash
    assert complaints(peer.wait(60_000)) == []


def test_a_block_of_its_own_is_sent_once_it_is_kept_and_none_made_beside_it() -> None:
    world = LearningConsortium(4)
    peer, disk = driven(world, 0, PeerConfig(train=False, mine_turn_ms=0))
    (start,) = of(Mine, peer.transaction(world.sign(1, world.proposal())))
    disk.full = True
    found = search(start.header, MIN_NONCE, 1_000_000)
    assert found is not None
    effects = peer.send(NonceFound(found))
    effects += peer.transaction(world.sign(2, ShareFile("a", CID, 1, "")))
    effects += peer.wait(60_000)
    assert of(BroadcastBlock, effects) == []
    assert of(Mine, effects) == []
    disk.full = False
    after = peer.wait(40_000)
    (sent,) = of(BroadcastBlock, after)
    assert sent.block.hash == peer.state.tip_hash
    assert of(EquivocationFound, effects + after) == []


def test_an_update_is_committed_to_once_its_note_is_kept() -> None:
    world = LearningConsortium(4)
    peer, disk = driven(world, 1, PeerConfig(mine=False))
    peer.send(DatasetChanged(100))
    (start,) = of(Train, peer.block(world.task_block()))
    disk.full = True
    effects = peer.send(Trained(start.request, CID, 0.5, 100)) + peer.wait(60_000)
    assert of(BroadcastTransaction, effects) == []
    assert of(Train, effects) == []  # what was trained is not lost
    assert complaints(effects)
    disk.full = False
    assert len({e.transaction for e in of(BroadcastTransaction, peer.wait(40_000))}) == 1
    assert peer.chain.store.note("training") is not None
    assert peer.chain.store.note("vote") is not None


def test_an_owner_is_told_that_nothing_can_be_kept() -> None:
    world = LearningConsortium(4)
    peer, disk = driven(world, 1, CHECKER)
    peer.block(world.task_block())
    disk.full = True
    with pytest.raises(NotKept, match="disk full"):
        peer.send(Submit(ShareFile("a", CID, 1, "x" * 90)))
    assert peer.peer.pending_transactions == 0
    disk.full = False
    peer.wait(2_000)
    assert len(of(BroadcastTransaction, peer.send(Submit(ShareFile("a", CID, 1, "x"))))) == 1


def test_evidence_is_kept_once_there_is_room() -> None:
    world = LearningConsortium(4)
    peer, disk = driven(world, 0, CHECKER)
    blocks = [
        world.block(world.start, [world.sign(0, world.proposal())], miner=2, later=100 + i)
        for i in range(2)
    ]
    peer.block(blocks[0])
    disk.full = True
    assert len(of(EquivocationFound, peer.block(blocks[1]))) == 1
    assert peer.chain.store.evidence() == []
    disk.full = False
    peer.wait(10_000)
    assert len(peer.chain.store.evidence()) == 1
