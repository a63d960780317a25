"""kill -9 at hundreds of random points: no accepted block is lost, and the next process goes on.

One warmed process forks a child that writes to the database that the last one left. The parent
kills it after a random count of reports and a short random wait, so some die inside a
transaction, some between two, and some while they open the database.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import Block

KILLS = 250
HEIGHT = 60
HASH_BYTES = 32


def two_branches(fleet: Any) -> list[Block]:
    """Two branches of one height, in turns: the tip jumps from one to the other."""
    states = [fleet.start, fleet.start]
    blocks = []
    for _ in range(HEIGHT):
        for branch in (0, 1):
            block = fleet.block(states[branch], miner=branch, later=1000 + branch)
            states[branch] = fleet.apply(states[branch], block)
            blocks.append(block)
    return blocks


def write(path: Path, fleet: Any, blocks: list[Block], pipe: int) -> None:
    """Accept what is missing, in order; report each block only when `accept` has returned."""
    store = ChainStore(path, fleet.genesis)
    if store.damage is not None:
        os._exit(1)
    for block in blocks:
        if not store.has(block.hash):
            store.accept(block, block.hash)  # every one moves the tip to the other branch
            os.write(pipe, block.hash)


def fork_writer(path: Path, fleet: Any, blocks: list[Block]) -> tuple[int, int]:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write(path, fleet, blocks, writer)
        finally:
            os._exit(0)
    os.close(writer)
    return child, reader


def kill_at(child: int, reader: int, reports: int, wait_s: float) -> set[bytes]:
    """Kill the writer some time after so many reports; give all that it had reported."""
    heard = b""
    while len(heard) < reports * HASH_BYTES and (chunk := os.read(reader, HASH_BYTES)):
        heard += chunk
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while chunk := os.read(reader, 65536):
        heard += chunk
    os.close(reader)
    assert len(heard) % HASH_BYTES == 0, "a report is written whole"
    return {heard[i : i + HASH_BYTES] for i in range(0, len(heard), HASH_BYTES)}


def check(store: ChainStore, blocks: list[Block], reported: set[bytes]) -> int:
    """The store holds what was reported and at most one block more; its tip is the last."""
    assert store.damage is None
    held = [block.hash for block in store.blocks()]
    assert held == [block.hash for block in blocks[: len(held)]]
    assert reported <= set(held)
    assert len(held) - len(reported) in (0, 1)
    tip = held[-1] if held else store.tip
    assert store.tip == tip
    chain = store.canonical(1, HEIGHT)
    assert [block.header.height for block in chain] == list(range(1, len(chain) + 1))
    assert not held or chain[-1].hash == tip
    return len(held)


@pytest.mark.slow
def test_no_kill_loses_an_accepted_block(make_fleet: Any, tmp_path: Path) -> None:
    fleet = make_fleet(3, difficulty=0)
    blocks = two_branches(fleet)
    noise = random.Random(11)
    path, reported, finished = tmp_path / "0.db", set[bytes](), 0
    for _ in range(KILLS):
        child, reader = fork_writer(path, fleet, blocks)
        reported |= kill_at(child, reader, noise.randrange(8), noise.random() * 0.004)
        with closing(ChainStore(path, fleet.genesis)) as store:
            held = check(store, blocks, reported)
            reported = {block.hash for block in blocks[:held]}
            if held == len(blocks):
                assert Blockchain(fleet.genesis, store).store.damage is None
        if held == len(blocks):
            finished += 1
            path, reported = tmp_path / f"{finished}.db", set()
    assert finished > 1, "the processes got ahead, one after the other"
