"""kill -9 at random points while files are put, pinned, dropped and fetched.

A warmed process forks a child that works in the folder that the last one left. The parent kills it
after a random count of reports and a short random wait. The next process opens the store, finds
what was reported whole, and every block that the store says it has.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.unixfs import blocks_of, read_file

CAP = 1_000_000
SIZE = 20_000


def killed(work: Callable[[int], None], reports: int, wait_s: float) -> list[int]:
    """Run `work` in a child, kill it some time after so many reports; give all of them."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work(writer)
        finally:
            os._exit(0)
    os.close(writer)
    heard = b""
    while len(heard) < reports * 4 and (chunk := os.read(reader, 4)):
        heard += chunk
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while chunk := os.read(reader, 65536):
        heard += chunk
    os.close(reader)
    return [int.from_bytes(heard[i : i + 4], "big") for i in range(0, len(heard), 4)]


def content(seed: int, size: int = SIZE) -> bytes:
    return random.Random(seed).randbytes(size)


def put(store: BlockStore, seed: int) -> Cid:
    data = content(seed)
    return store.put(lambda offset, size: data[offset : offset + size], SIZE, 1000)


def check(store: BlockStore, home: Path) -> None:
    """Whatever the store says of itself holds."""
    assert list((home / "tmp").iterdir()) == []
    assert store.size <= CAP
    for digest in list(store._catalog._places):
        assert store.get(Cid(0x55, digest))
    for entry in (home / "roots").iterdir():
        root = Cid.parse(entry.name)
        assert store.has_file(root)
        assert len(read_file(root, store.get)) == SIZE


def test_no_kill_loses_a_file_that_was_put(tmp_path: Path) -> None:
    chance = random.Random(7)
    home, seed = tmp_path / "store", 0
    pinned: set[int] = set()
    for _ in range(60):

        def work(pipe: int, begin: int = seed) -> None:
            store = BlockStore(home, CAP)
            for number in range(begin, begin + 1000):
                root = put(store, number)
                if number % 20 == 0:
                    store.pin(root)
                os.write(pipe, number.to_bytes(4, "big"))

        done = killed(work, chance.randint(0, 6), chance.random() * 0.01)
        pinned |= {number for number in done if number % 20 == 0}
        seed = max(done, default=seed) + 1
        with closing(BlockStore(home, CAP)) as store:
            check(store, home)
            for number in pinned | set(done[-4:]):
                *_, (root, _) = blocks_of(content(number), 1000)
                assert read_file(root, store.get) == content(number)
            assert len(store.pins()) - len(pinned) in (0, 1)
    assert len(pinned) > 2


def test_a_killed_fetch_goes_on_and_its_target_is_whole_or_absent(tmp_path: Path) -> None:
    chance = random.Random(8)
    data, before = content(1, 3_000_000), b"what was here before"
    source = EmbeddedStorage(tmp_path / "source", chunk_size=10_000)
    cid = source.put(data)
    home, target = tmp_path / "store", tmp_path / "file"
    finished = broken = 0
    for _ in range(40):
        if not target.exists():
            target.write_bytes(before)

        def work(pipe: int) -> None:
            with EmbeddedStorage(home) as store:
                os.write(pipe, bytes(4))
                store.get_file(cid, target, [source.url])
                os.write(pipe, bytes(4))

        done = killed(work, 1, chance.random() * 0.4)
        assert target.read_bytes() in ((data,) if len(done) == 2 else (data, before))
        with closing(BlockStore(home)) as store:
            for digest in list(store._catalog._places):
                assert store.get(Cid(0x55, digest))
            if len(done) == 2:
                assert read_file(Cid.parse(cid), store.get) == data
                finished += 1
            elif store.size:
                broken += 1
                continue  # the next child goes on from there
            store.collect(0, 0)
        target.unlink()
    source.close()
    assert finished
    assert broken
