"""Snapshots of final blocks: what a chain keeps below them, and what a start and a fork cost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bift_ros.chain import blockchain as chain_module
from bift_ros.chain import branch_states
from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.exceptions import StoreError
from bift_ros.chain.interface import Base, Snapshot, Store
from bift_ros.chain.store import ChainStore
from bift_ros.consensus import transition
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.exceptions import InvalidBlock, MalformedState, UnknownVoted
from bift_ros.consensus.payloads import MembershipVote
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.state import State
from bift_ros.consensus.state_bytes import state_bytes
from bift_ros.consensus.transition import apply_body, state_transition
from bift_ros.identity.keys import KeyPair
from bift_ros.simulation.memory_store import MemoryStore

SPACING, KEPT = 4, 8


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (chain_module, branch_states):
        monkeypatch.setattr(module, "STATE_SPACING", SPACING)
    monkeypatch.setattr(chain_module, "KEPT_BLOCKS", KEPT)


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, fleet: Any) -> Store:
    if request.param == "disk":
        return ChainStore(":memory:", fleet.genesis)
    return MemoryStore(fleet.genesis, lambda block: None)


@pytest.fixture
def transitions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The heights of the blocks that are replayed."""
    heights: list[int] = []

    def counted(state: State, genesis: Any, block: Block) -> State:
        heights.append(block.header.height)
        return apply_body(state, genesis, block)

    for module in (transition, branch_states):
        monkeypatch.setattr(module, "apply_body", counted)
    return heights


def extend(chain: Blockchain, block: Block) -> None:
    parent = chain.state_at(block.header.previous_hash)
    chain.add(block, state_transition(parent, chain.genesis, block, block.header.timestamp))


def finalize(fleet: Any, chain: Blockchain, state: State) -> None:
    chain.finalize(Quorum.from_bytes(fleet.certificate(state)))


def grow(fleet: Any, chain: Blockchain, length: int, final: bool = False, **how: Any) -> None:
    """So many blocks on the tip; each is final at once, or none is."""
    for _ in range(length):
        extend(chain, fleet.block(chain.tip_state, **how))
        if final:
            finalize(fleet, chain, chain.tip_state)


def heights(store: Store) -> list[int]:
    return [block.header.height for block in store.canonical(1, 999)]


def test_a_start_replays_nothing_but_the_last_blocks(
    fleet: Any, tmp_path: Path, transitions: list[int]
) -> None:
    with closing(ChainStore(tmp_path / "chain.db", fleet.genesis)) as store:
        chain = Blockchain(fleet.genesis, store)
        grow(fleet, chain, 4 * SPACING + 3)
        state = chain.tip_state
    transitions.clear()
    with closing(ChainStore(tmp_path / "chain.db", fleet.genesis)) as store:
        again = Blockchain(fleet.genesis, store)
        assert again.tip_state == state
        assert transitions == [4 * SPACING + n for n in (1, 2, 3)]


@pytest.mark.parametrize("reopened", [False, True])
def test_a_block_on_an_old_parent_costs_few_replays(
    fleet: Any, store: Store, transitions: list[int], monkeypatch: Any, reopened: bool
) -> None:
    monkeypatch.setattr(branch_states, "MAX_CACHED_STATES", SPACING + 2)
    chain = Blockchain(fleet.genesis, store)
    states = [chain.tip_state]
    for _ in range(6 * SPACING):
        grow(fleet, chain, 1)
        states.append(chain.tip_state)
    if reopened:
        chain = Blockchain(fleet.genesis, store)
    for parent in (1, 2 * SPACING - 1, 3 * SPACING):
        transitions.clear()
        side = fleet.block(states[parent], miner=3)
        extend(chain, side)
        assert len(transitions) <= SPACING  # with the block itself
        assert chain.state_at(states[parent].tip_hash) == states[parent]


def test_what_is_older_than_the_window_goes(fleet: Any, store: Store) -> None:
    chain = Blockchain(fleet.genesis, store)
    most = 0
    for _ in range(12):
        grow(fleet, chain, SPACING, final=True)
        most = max(most, len(list(store.blocks())))
        assert heights(store)[-1] == chain.tip.height
        assert chain.root.height == chain.tip.height // SPACING * SPACING
        assert chain.root.parent is None
    assert most <= KEPT + 3 * SPACING
    newest, older = store.snapshots()
    assert (newest.height, older.height) == (12 * SPACING, 11 * SPACING)
    assert newest.state == state_bytes(chain.tip_state)
    assert newest.certificate == fleet.certificate(chain.tip_state)
    assert store.base.height == 11 * SPACING - KEPT
    assert store.state(store.base.hash) is not None or isinstance(store, MemoryStore)
    again = Blockchain(fleet.genesis, store)
    assert again.tip_state == chain.tip_state
    assert again.root.height == 12 * SPACING
    grow(fleet, again, 2, final=True)
    assert heights(store)[-1] == 12 * SPACING + 2


def test_a_vehicle_may_keep_all(fleet: Any, store: Store) -> None:
    chain = Blockchain(fleet.genesis, store, keep_all=True)
    grow(fleet, chain, 6 * SPACING, final=True)
    assert heights(store) == list(range(1, 6 * SPACING + 1))
    assert chain.root.height == 6 * SPACING
    assert Blockchain(fleet.genesis, store).tip_state == chain.tip_state


def test_other_branches_go_when_a_block_is_final(fleet: Any, store: Store) -> None:
    chain = Blockchain(fleet.genesis, store)
    extend(chain, fleet.block(fleet.start, [fleet.sign(0, fleet.proposal())]))
    fork = chain.tip_state
    extend(chain, fleet.model_block(fork, [0, 1, 2]))
    grow(fleet, chain, SPACING)
    final = chain.tip_state
    old = fleet.block(fork, miner=3)
    extend(chain, old)
    above = fleet.block(chain.state_at(old.hash), miner=3)
    extend(chain, above)
    beside = fleet.block(final, miner=1)
    extend(chain, beside)
    grow(fleet, chain, 1, miner=2)
    rival = fleet.block(chain.state_at(old.hash), miner=4)
    after_rival = state_transition(
        chain.state_at(old.hash), fleet.genesis, rival, rival.header.timestamp
    )
    finalize(fleet, chain, final)
    assert chain.root.hash == final.tip_hash
    for gone in (old, above):
        assert not chain.has(gone.hash)
        assert chain.node(gone.hash) is None
        with pytest.raises(KeyError):
            chain.state_at(gone.hash)
    assert chain.node(beside.hash) is not None
    assert chain.has(fork.tip_hash)  # below the root, on its branch
    assert chain.node(fork.tip_hash) is None
    with pytest.raises(InvalidBlock, match="unknown"):
        chain.add(rival, after_rival)
    again = Blockchain(fleet.genesis, store)
    assert again.tip_state == chain.tip_state
    assert again.node(beside.hash) is not None


def test_not_every_final_block_gets_a_snapshot(fleet: Any, store: Store) -> None:
    chain = Blockchain(fleet.genesis, store)
    extend(chain, fleet.block(fleet.start, [fleet.sign(0, fleet.proposal())]))
    fork = chain.tip_state
    grow(fleet, chain, SPACING)
    side = chain.tip_state
    extend(chain, fleet.model_block(fork, [0, 1, 2]))
    assert chain.tip.hash != side.tip_hash
    with pytest.raises(UnknownVoted):
        finalize(fleet, chain, replace(side, tip_hash=bytes(32)))
    finalize(fleet, chain, chain.state_at(fork.tip_hash))  # so soon
    assert store.snapshots() == []
    finalize(fleet, chain, side)  # though it was not on the chain
    assert store.snapshots()[0].hash == chain.tip.hash == side.tip_hash


def test_who_has_joined_is_known_though_the_block_is_gone(fleet: Any, store: Store) -> None:
    chain = Blockchain(fleet.genesis, store)
    key = KeyPair.from_seed(bytes(32))
    for action in ("join", "leave"):
        vote = MembershipVote(action, "bus", key.public_key)
        votes = [fleet.sign(n, vote, chain.tip_state) for n in range(4)]
        extend(chain, fleet.block(chain.tip_state, votes[: 3 if action == "join" else 4]))
    assert key.address not in chain.tip_state.members
    grow(fleet, chain, 8 * SPACING, final=True)
    assert store.base.height > 2
    again = Blockchain(fleet.genesis, store)
    assert again.known_members == chain.known_members
    assert key.address in again.known_members


def test_a_chain_starts_from_a_snapshot(fleet: Any, store: Store) -> None:
    source = Blockchain(fleet.genesis, MemoryStore(fleet.genesis, lambda block: None))
    grow(fleet, source, 5 * SPACING, final=True)
    snapshot = source.store.snapshots()[0]
    grow(fleet, source, 3)
    chain = Blockchain(fleet.genesis, store)
    grow(fleet, chain, 2, miner=3)
    chain.start_from(snapshot)
    assert chain.tip.height == store.base.height == snapshot.height
    assert list(store.blocks()) == []
    assert chain.has(snapshot.hash)
    for block in source.canonical(snapshot.height + 1, 9):
        extend(chain, block)
    assert chain.tip_state == source.tip_state
    assert heights(store) == [snapshot.height + n for n in (1, 2, 3)]
    assert Blockchain(fleet.genesis, store).tip_state == source.tip_state
    grow(fleet, chain, 8 * SPACING, final=True)
    assert store.base.height > snapshot.height


@pytest.mark.parametrize(
    "change", [{"hash": bytes(32)}, {"height": 7}, {"state": b"no state"}], ids=str
)
def test_a_snapshot_that_is_none_changes_nothing(
    fleet: Any, store: Store, change: dict[str, Any]
) -> None:
    chain = Blockchain(fleet.genesis, store)
    grow(fleet, chain, SPACING + 1, final=True)
    good = store.snapshots()[0]
    bad = Snapshot(**{**vars(good), **change})
    with pytest.raises(MalformedState):
        chain.start_from(bad)
    assert heights(store) == list(range(1, SPACING + 2))
    with pytest.raises(StoreError, match="is not in the store"):
        store.keep_snapshot(Snapshot(bytes(32), 9, b"", b""), store.base)
    assert store.snapshots() == [good]


# --- the database ---------------------------------------------------------------------------


def filled(path: Path, fleet: Any) -> State:
    """A pruned database, and the state after its tip."""
    with closing(ChainStore(path, fleet.genesis)) as store:
        chain = Blockchain(fleet.genesis, store)
        grow(fleet, chain, 8 * SPACING, final=True)
        grow(fleet, chain, 2)
        return chain.tip_state


def test_a_pruned_database_is_sound(fleet: Any, tmp_path: Path) -> None:
    state = filled(tmp_path / "chain.db", fleet)
    with closing(ChainStore(tmp_path / "chain.db", fleet.genesis)) as store:
        assert store.damage is None
        assert store.base.height == 7 * SPACING - KEPT
        assert heights(store) == list(range(store.base.height + 1, 8 * SPACING + 3))
        assert Blockchain(fleet.genesis, store).tip_state == state
        assert store.damage is None


def run(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


HARMLESS: dict[str, str] = {
    "newest snapshot altered": "UPDATE states SET data = x'00' WHERE height = 32",
    "newest snapshot gone": "DELETE FROM states WHERE height = 32",
    "another state altered": "UPDATE states SET data = x'00' WHERE certificate IS NULL",
    "certificate altered": "UPDATE states SET certificate = x'00' WHERE height = 32",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_damaged_state_is_passed_over(fleet: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / "chain.db"
    state = filled(path, fleet)
    run(path, HARMLESS[name])
    with closing(ChainStore(path, fleet.genesis)) as store:
        assert Blockchain(fleet.genesis, store).tip_state == state
        assert store.damage is None


DAMAGE: dict[str, str] = {
    "no snapshot left": "DELETE FROM states",
    "base elsewhere": "UPDATE meta SET value = zeroblob(40) WHERE key = 'base'",
    "malformed base": "UPDATE meta SET value = 7 WHERE key = 'base'",
    "no base": "DELETE FROM meta WHERE key = 'base'",
    "altered standing": "UPDATE blocks SET standing = x'00' WHERE height = 30",
    "altered height": "UPDATE blocks SET height = 3 WHERE height = 30",
    "gap": "DELETE FROM blocks WHERE height = 30",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(fleet: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / "chain.db"
    filled(path, fleet)
    run(path, DAMAGE[name])
    with closing(ChainStore(path, fleet.genesis)) as store:
        chain = Blockchain(fleet.genesis, store)
        assert store.damage is not None
        assert chain.tip_state == fleet.start


def test_nothing_is_lost_where_a_snapshot_can_not_be_written(
    fleet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ChainStore(":memory:", fleet.genesis)
    chain = Blockchain(fleet.genesis, store)
    grow(fleet, chain, SPACING)

    def full(*_: object) -> None:
        raise StoreError("disk full")

    keep: Callable[..., None] = store.keep_snapshot
    monkeypatch.setattr(store, "keep_snapshot", full)
    finalize(fleet, chain, chain.tip_state)
    assert chain.finality.final.height == SPACING
    assert chain.root.height == 0
    assert chain.state_at(store.canonical(1, 1)[0].hash).height == 1
    monkeypatch.setattr(store, "keep_snapshot", keep)
    grow(fleet, chain, 1, final=True)
    assert chain.root.height == SPACING + 1
    assert store.base == Base(fleet.genesis.hash, 0)
