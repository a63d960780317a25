from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.unixfs import blocks_of, read_file


def put(store: BlockStore, data: bytes, chunk_size: int = 1000) -> Cid:
    with store.batch() as batch:
        for cid, block in blocks_of(data, chunk_size):
            batch.put(cid, block)
        batch.commit(cid)
    return cid


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def file_of(home: Path, cid: Cid) -> Path:
    name = cid.digest.hex()
    return home / "blocks" / name[:2] / name


def on_disk(home: Path) -> dict[str, int]:
    return {p.name: p.stat().st_size for p in (home / "blocks").glob("*/*")}


def test_blocks_roots_and_pins_outlive_a_restart(tmp_path: Path) -> None:
    store = BlockStore(tmp_path)
    root = put(store, noise(5000))
    store.pin(root)
    size = store.size
    store.close()
    again = BlockStore(tmp_path)
    assert read_file(root, again.get) == noise(5000)
    assert again.pins() == {root}
    assert again.size == size == sum(on_disk(tmp_path).values())
    again.close()


def test_a_missing_block_is_not_found(store: BlockStore) -> None:
    with pytest.raises(NotFound, match=str(Cid.of(RAW, b"x"))):
        store.get(Cid.of(RAW, b"x"))


def test_the_same_bytes_take_space_once(store: BlockStore) -> None:
    put(store, noise(5000))
    size = store.size
    put(store, noise(5000))
    assert store.size == size
    put(store, bytes(50_000))  # fifty equal chunks
    assert store.size < size + 1000 + 3000


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "grow"])
def test_a_damaged_block_is_reported_removed_and_mended(
    store: BlockStore, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = put(store, noise(5000))
    victim = Cid.of(RAW, noise(5000)[1000:2000])
    path = file_of(tmp_path / "store", victim)
    good = path.read_bytes()
    bad = {
        "flip": good[:500] + bytes([good[500] ^ 1]) + good[501:],
        "truncate": good[:999],
        "empty": b"",
        "grow": good + b"\0",
    }[damage]
    path.write_bytes(bad)
    with caplog.at_level(logging.WARNING), pytest.raises(NotFound, match="damaged"):
        read_file(root, store.get)
    assert str(victim) in caplog.text
    assert not path.exists()
    assert not store.has_file(root)
    assert put(store, noise(5000)) == root
    assert read_file(root, store.get) == noise(5000)


def test_putting_again_mends_a_block_that_nobody_has_read_yet(
    store: BlockStore, tmp_path: Path
) -> None:
    root = put(store, noise(500))
    file_of(tmp_path / "store", root).write_bytes(b"rust")
    put(store, noise(500))
    assert store.get(root) == noise(500)
    store.collect(1000)
    assert store.size == 500


def test_a_second_process_is_told_that_the_store_is_open(tmp_path: Path) -> None:
    store = BlockStore(tmp_path)
    code = f"from bift_ros.storage.blockstore import BlockStore; BlockStore({str(tmp_path)!r})"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert other.returncode != 0
    assert "is open in another process" in other.stderr
    store.close()
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_path_that_cannot_be_a_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file cannot be a block store"):
        BlockStore(tmp_path / "file")


def test_strangers_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    BlockStore(tmp_path).close()
    stranger = tmp_path / "blocks" / "00" / "notes.txt"
    stranger.write_text("mine")
    (tmp_path / "roots" / "readme").write_text("mine")
    store = BlockStore(tmp_path, max_bytes=2500)
    for seed in range(5):
        put(store, noise(1000, seed))
    assert stranger.read_text() == "mine"
    store.close()


def test_the_longest_unused_file_is_dropped_first(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, max_bytes=3500)
    first, second, third = (put(store, noise(1000, seed)) for seed in range(3))
    store.touch(first)
    fourth = put(store, noise(1000, 3))
    assert [store.has_file(cid) for cid in (first, second, third, fourth)] == [
        True, False, True, True,
    ]  # fmt: skip
    store.close()


def test_last_use_outlives_a_restart(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, max_bytes=3500)
    first, second = put(store, noise(1000, 1)), put(store, noise(1000, 2))
    store.touch(first)
    store.close()
    store = BlockStore(tmp_path, max_bytes=3500)
    put(store, noise(2000, 3), 2000)
    assert store.has_file(first)
    assert not store.has_file(second)
    store.close()


def test_pinned_files_stay_and_a_full_store_says_so(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, max_bytes=5000)
    kept = put(store, noise(4000, 1))
    store.pin(kept)
    with pytest.raises(StorageError, match=r"full.*unpin"):
        put(store, noise(3000, 2))
    assert store.has_file(kept)
    assert store.size <= 5000
    store.unpin(kept)
    store.unpin(kept)
    fresh = put(store, noise(3000, 2))
    assert store.has_file(fresh)
    assert not store.has_file(kept)
    assert store.size == sum(on_disk(tmp_path).values()) <= 5000
    store.close()


def test_blocks_shared_with_a_kept_file_stay(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, max_bytes=6000)
    common = noise(2000, 1)
    kept = put(store, common + noise(500, 2))
    store.pin(kept)
    put(store, common + noise(1500, 3))
    put(store, noise(1500, 4))
    assert read_file(kept, store.get) == common + noise(500, 2)
    store.close()


def test_leftovers_without_a_root_go_first(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, max_bytes=3500)
    with store.batch() as batch:
        batch.put(Cid.of(RAW, noise(1000, 1)), noise(1000, 1))  # never committed
    old = put(store, noise(1000, 2))
    newer = put(store, noise(1000, 3))
    newest = put(store, noise(1000, 4))
    assert store.has_file(old)
    assert store.has_file(newer)
    assert store.has_file(newest)
    assert not store.has_block(Cid.of(RAW, noise(1000, 1)))
    store.close()


def test_blocks_being_added_are_safe_from_collection(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, max_bytes=10_000)
    data = noise(4000)
    blocks = list(blocks_of(data, 1000))
    with store.batch() as batch:
        for cid, block in blocks[:3]:
            batch.put(cid, block)
        store.collect(0)
        for cid, block in blocks[3:]:
            batch.put(cid, block)
        batch.commit(blocks[-1][0])
    assert read_file(blocks[-1][0], store.get) == data
    store.collect(0)
    assert on_disk(tmp_path) == {}
    store.close()


def test_a_block_after_its_batch_is_refused(store: BlockStore) -> None:
    with store.batch() as batch:
        pass
    with pytest.raises(StorageError, match="batch had ended"):
        batch.put(Cid.of(RAW, b"late"), b"late")


def test_what_is_not_whole_cannot_be_pinned(store: BlockStore, tmp_path: Path) -> None:
    root = put(store, noise(5000))
    file_of(tmp_path / "store", Cid.of(RAW, noise(5000)[:1000])).unlink()
    with pytest.raises(NotFound, match="wholly"):
        store.pin(root)
    assert store.pins() == set()


def test_threads_may_put_read_pin_and_overflow_at_once(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, max_bytes=40_000)
    kept = put(store, noise(3000, 99))
    store.pin(kept)
    start = threading.Barrier(8)

    def work(worker: int) -> int:
        start.wait()
        read = 0
        for turn in range(12):
            seed = (worker * 7 + turn) % 20
            root = put(store, noise(3000, seed))
            try:
                assert read_file(root, store.get) == noise(3000, seed)
                read += 1
            except NotFound:
                pass  # another thread's put may need the space by now
            assert read_file(kept, store.get) == noise(3000, 99)
        return read

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) > 0
    assert store.size == sum(on_disk(tmp_path).values()) <= 40_000
    assert list((tmp_path / "tmp").iterdir()) == []
    store.close()


WRITER = """
import random, sys
from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.unixfs import blocks_of
store = BlockStore(sys.argv[1], max_bytes=400_000)
seed = int(sys.argv[2])
while True:
    with store.batch() as batch:
        for cid, block in blocks_of(random.Random(seed).randbytes(20_000), 1000):
            batch.put(cid, block)
        batch.commit(cid)
    store.pin(cid) if seed % 20 == 0 else None
    print(cid, seed, flush=True)
    seed += 1
"""


def test_a_killed_writer_leaves_a_sound_store(tmp_path: Path) -> None:
    """SIGKILL at random points; what the writer had reported as stored is there and whole."""
    chance = random.Random(7)
    pinned: dict[str, int] = {}
    seed = 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(seed)],
            stdout=subprocess.PIPE, text=True,
        ) as writer:  # fmt: skip
            assert writer.stdout is not None
            stored: dict[str, int] = {}
            for _ in range(chance.randint(1, 12)):
                cid, number = writer.stdout.readline().split()
                stored[cid] = int(number)
            threading.Event().wait(chance.random() * 0.02)  # somewhere within the next file
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout:  # files finished before the signal came
                cid, number = line.split()
                stored[cid] = int(number)
        pinned |= {cid: number for cid, number in stored.items() if number % 20 == 0}
        seed = max(stored.values()) + 1

        store = BlockStore(tmp_path, max_bytes=400_000)
        newest = list(stored)[-5:]  # older ones may have made room
        for cid, number in [*pinned.items(), *((cid, stored[cid]) for cid in newest)]:
            assert read_file(Cid.parse(cid), store.get) == random.Random(number).randbytes(20_000)
        for name in on_disk(tmp_path):
            assert store.get(Cid(RAW, bytes.fromhex(name)))
        assert list((tmp_path / "tmp").iterdir()) == []
        assert store.size == sum(on_disk(tmp_path).values()) <= 400_000
        store.close()
    assert pinned


def test_a_full_disk_is_a_clear_error(store: BlockStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, os.strerror(28))

    before = store.size
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(StorageError, match=r"No space left.*free some space"):
            put(store, noise(100))
    assert store.size == before
    assert store.has_file(put(store, noise(100)))
