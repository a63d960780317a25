"""The store: what it keeps through kills, and what it does with damage."""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from bift_ros.chain.exceptions import StoreError, WrongGenesis
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import Block


def chain_of(fleet: Any, length: int, state: Any = None, **changes: Any) -> list[Block]:
    """A chain of empty blocks."""
    state = state or fleet.start
    blocks = []
    for _ in range(length):
        blocks.append(fleet.block(state, **changes))
        state = fleet.apply(state, blocks[-1])
    return blocks


@pytest.fixture(scope="module")
def blocks(fleet: Any) -> list[Block]:
    return chain_of(fleet, 6)


def fill(path: Path, fleet: Any, blocks: list[Block]) -> None:
    with closing(ChainStore(path, fleet.genesis)) as store:
        for block in blocks:
            store.accept(block, block.hash)


def test_what_is_accepted_is_there_again(fleet: Any, blocks: list[Block], tmp_path: Path) -> None:
    path = tmp_path / "folder" / "chain.db"
    with closing(ChainStore(path, fleet.genesis)) as store:
        assert store.tip == fleet.genesis.hash
        assert store.has(fleet.genesis.hash)
        for block in blocks:
            store.accept(block, block.hash)
            assert store.tip == block.hash
    with closing(ChainStore(path, fleet.genesis)) as store:
        assert store.damage is None
        assert store.tip == blocks[-1].hash
        assert store.block(blocks[2].hash) == blocks[2]
        assert store.header(blocks[2].hash) == blocks[2].header
        assert store.block(bytes(32)) is None
        assert store.header(bytes(32)) is None
        assert not store.has(bytes(32))
        assert list(store.blocks()) == blocks
        assert store.canonical(1, 100) == blocks
        assert store.canonical(3, 2) == blocks[2:4]
        assert store.canonical(9, 2) == []


def test_side_branches_and_moving_tips(fleet: Any, blocks: list[Block], tmp_path: Path) -> None:
    side = chain_of(fleet, 4, fleet.apply(fleet.start, blocks[0]), miner=1)
    with closing(ChainStore(tmp_path / "chain.db", fleet.genesis)) as store:
        for block in blocks:
            store.accept(block, block.hash)
        for block in side[:-1]:
            store.add(block)
        assert store.canonical(1, 99) == blocks
        store.accept(side[-1], side[-1].hash)
        assert store.canonical(1, 99) == [blocks[0], *side]
        store.set_tip(blocks[2].hash)
        assert store.canonical(1, 99) == blocks[:3]
        store.set_tip(fleet.genesis.hash)
        assert store.canonical(1, 99) == []
        store.set_tip(side[1].hash)
    with closing(ChainStore(tmp_path / "chain.db", fleet.genesis)) as store:
        assert store.damage is None
        assert store.tip == side[1].hash
        assert len(list(store.blocks())) == 10


def test_accept_does_both_or_nothing(fleet: Any, blocks: list[Block], tmp_path: Path) -> None:
    with closing(ChainStore(tmp_path / "chain.db", fleet.genesis)) as store:
        with pytest.raises(StoreError, match="parent of block"):
            store.accept(blocks[1], blocks[1].hash)
        with pytest.raises(StoreError, match="is not in the store"):
            store.accept(blocks[0], bytes(32))
        assert not store.has(blocks[0].hash)
        assert store.tip == fleet.genesis.hash
        store.accept(blocks[0], blocks[0].hash)
        store.accept(blocks[0], blocks[0].hash)
        assert list(store.blocks()) == blocks[:1]


def test_a_store_of_another_chain_is_refused(
    fleet: Any, make_fleet: Any, blocks: list[Block], tmp_path: Path
) -> None:
    path = tmp_path / "chain.db"
    fill(path, fleet, blocks)
    with pytest.raises(WrongGenesis, match=r"chain\.db belongs to another chain.*its own path"):
        ChainStore(path, make_fleet(6).genesis)
    with closing(ChainStore(path, fleet.genesis)) as store:
        assert store.tip == blocks[-1].hash


def test_reading_beside_a_writer(fleet: Any, blocks: list[Block], tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    with closing(ChainStore(path, fleet.genesis)) as writer:
        writer.accept(blocks[0], blocks[0].hash)
        with closing(ChainStore(path, fleet.genesis, read_only=True)) as reader:
            assert reader.tip == blocks[0].hash
            writer.accept(blocks[1], blocks[1].hash)
            assert reader.tip == blocks[1].hash
            with pytest.raises(StoreError, match="can't write"):
                reader.accept(blocks[2], blocks[2].hash)
    with pytest.raises(StoreError, match=r"missing\.db"):
        ChainStore(tmp_path / "missing.db", fleet.genesis, read_only=True)
    assert not (tmp_path / "missing.db").exists()


def test_paths_that_can_not_hold_a_store(fleet: Any, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't use the chain database"):
        ChainStore(tmp_path, fleet.genesis)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't use the chain database"):
        ChainStore(tmp_path / "file" / "chain.db", fleet.genesis)


# --- damage -----------------------------------------------------------------------------------


def sql(*statements: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return damage


def overwrite(path: Path) -> None:
    path.write_bytes(b"this was a database once " * 400)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def corrupt_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:8192] = bytes(random.Random(1).randbytes(4096))
    path.write_bytes(data)


DAMAGE = {
    "not a database": overwrite,
    "cut": cut,
    "corrupt page": corrupt_page,
    "altered body": sql(
        "UPDATE blocks SET data = substr(data, 1, 200) || x'00' || substr(data, 202) "
        "WHERE number = 3"
    ),
    "altered hash": sql("UPDATE blocks SET hash = zeroblob(32) WHERE number = 6"),
    "swapped rows": sql(
        "UPDATE blocks SET number = 100 WHERE number = 2",
    ),
    "text in place of bytes": sql("UPDATE blocks SET data = 'block' WHERE number = 2"),
    "missing block": sql("DELETE FROM blocks WHERE number = 6"),
    "gap in the chain": sql("DELETE FROM canonical WHERE height = 2"),
    "tip elsewhere": sql("UPDATE canonical SET hash = zeroblob(32) WHERE height = 6"),
    "no genesis": sql("DELETE FROM meta"),
    "missing table": sql("DROP TABLE canonical"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_reported_and_moved_aside(
    fleet: Any, blocks: list[Block], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "chain.db"
    fill(path, fleet, blocks)
    DAMAGE[name](path)
    damaged = path.read_bytes()
    with pytest.raises(StoreError, match="is damaged"):
        ChainStore(path, fleet.genesis, read_only=True)
    with closing(ChainStore(path, fleet.genesis)) as store:
        assert store.damage is not None
        assert "kept as chain.db.damaged" in store.damage
        assert store.tip == fleet.genesis.hash
        for block in blocks:  # rebuilt, as from peers
            store.accept(block, block.hash)
    assert (tmp_path / "chain.db.damaged").read_bytes() == damaged
    with closing(ChainStore(path, fleet.genesis)) as store:
        assert store.damage is None
        assert store.tip == blocks[-1].hash


def test_damage_twice_keeps_both(fleet: Any, blocks: list[Block], tmp_path: Path) -> None:
    path = tmp_path / "chain.db"
    for _ in range(2):
        fill(path, fleet, blocks)
        overwrite(path)
        ChainStore(path, fleet.genesis).close()
    assert {p.name for p in tmp_path.glob("*.damaged*")} == {
        "chain.db.damaged",
        "chain.db.damaged-2",
    }


def test_any_flipped_byte_is_found_or_harmless(
    fleet: Any, blocks: list[Block], tmp_path: Path
) -> None:
    pristine = tmp_path / "pristine.db"
    fill(pristine, fleet, blocks)
    data = pristine.read_bytes()
    found = 0
    for seed in range(60):
        noise = random.Random(seed)
        changed = bytearray(data)
        changed[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
        path = tmp_path / f"{seed}.db"
        path.write_bytes(changed)
        try:
            with closing(ChainStore(path, fleet.genesis)) as store:
                if store.damage is None:
                    assert store.canonical(1, 99) == blocks
                else:
                    found += 1
        except StoreError:  # such as a file format version of the future
            found += 1
    assert found > 0


# --- kill -9 ----------------------------------------------------------------------------------


def write_forever(path: Path, genesis: Any, blocks: list[Block], pipe: Connection) -> None:
    store = ChainStore(path, genesis)
    for block in blocks:
        if not store.has(block.hash):
            store.accept(block, block.hash)
        pipe.send(block.header.height)


def test_kill_at_any_instant_loses_no_accepted_block(make_fleet: Any, tmp_path: Path) -> None:
    fleet = make_fleet(3, difficulty=0)
    blocks = chain_of(fleet, 80)
    context = multiprocessing.get_context("fork")
    noise = random.Random(5)
    for round_number in range(30):
        path = tmp_path / f"{round_number % 10}.db"
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=write_forever, args=(path, fleet.genesis, blocks, writer))
        process.start()
        writer.close()
        accepted = 0
        for _ in range(noise.randrange(30)):
            accepted = reader.recv()
        # Somewhere inside the next writes: at a random time, not when a block is done.
        process.join(noise.random() * 0.01)
        process.kill()
        process.join()
        try:
            while True:
                accepted = max(accepted, reader.recv())
        except EOFError:
            pass
        with closing(ChainStore(path, fleet.genesis)) as store:
            assert store.damage is None
            held = store.canonical(1, 1000)
            assert len(held) >= accepted
            assert held == blocks[: len(held)]
            assert store.tip == (held[-1].hash if held else fleet.genesis.hash)
