from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bift_ros.storage import quota
from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.partial_file import completing
from bift_ros.storage.unixfs import blocks_of, chunks_of, read_file


def put(store: BlockStore, data: bytes, chunk_size: int = 1000) -> Cid:
    return store.put(lambda offset, size: data[offset : offset + size], len(data), chunk_size)


def read(store: BlockStore, root: Cid) -> bytes:
    """A file put together from its blocks."""
    return read_file(root, store.get)


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def flip(path: Path, at: int) -> None:
    """Damage a byte the way a bad disk does: without a new time of change."""
    times = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(times, times))


def on_disk(home: Path) -> int:
    return sum(p.stat().st_size for f in ("files", "trees") for p in (home / f).iterdir())


def test_blocks_roots_and_pins_outlive_a_restart(tmp_path: Path) -> None:
    store = BlockStore(tmp_path)
    root = put(store, noise(5000))
    store.pin(root)
    size = store.size
    store.close()
    again = BlockStore(tmp_path)
    assert read(again, root) == noise(5000)
    assert again.pins() == {root}
    assert again.size == size == on_disk(tmp_path)
    again.close()


def test_a_missing_block_is_not_found(store: BlockStore) -> None:
    with pytest.raises(NotFound, match=str(Cid.of(RAW, b"x"))):
        store.get(Cid.of(RAW, b"x"))


def test_the_same_bytes_take_space_once(store: BlockStore) -> None:
    put(store, noise(5000))
    size = store.size
    put(store, noise(5000))
    assert store.size == size


def test_a_damaged_block_is_reported_and_mended(
    store: BlockStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = put(store, noise(5000))
    victim = Cid.of(RAW, noise(5000)[1000:2000])
    flip(tmp_path / "store" / "files" / str(root), 1500)
    with caplog.at_level(logging.WARNING), pytest.raises(NotFound, match="damaged"):
        read(store, root)
    assert str(victim) in caplog.text
    assert not store.has_block(victim)
    assert store.has_block(Cid.of(RAW, noise(5000)[:1000]))
    assert not store.has_file(root)
    assert put(store, noise(5000)) == root
    assert read(store, root) == noise(5000)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("change", [b"", b"short", noise(5000, 1), noise(6000, 1), None])
def test_a_file_that_was_changed_from_outside_is_not_here(
    tmp_path: Path, change: bytes | None, restart: bool
) -> None:
    store = BlockStore(tmp_path)
    root = put(store, noise(5000))
    store.pin(root)
    path = tmp_path / "files" / str(root)
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change)
    if restart:
        store.close()
        store = BlockStore(tmp_path)
    assert not store.has_file(root)
    with pytest.raises(NotFound, match="wholly"):
        store.pin(root)
    assert put(store, noise(5000)) == root
    assert read(store, root) == noise(5000)
    assert store.size == on_disk(tmp_path)
    store.close()


def test_a_put_over_a_file_that_was_killed_loses_nothing(tmp_path: Path) -> None:
    """The content is new, the mark still tells the time of the old one."""
    store = BlockStore(tmp_path)
    root = put(store, noise(5000))
    store.pin(root)
    store.close()
    os.utime(tmp_path / "files" / str(root))
    for _ in range(2):
        store = BlockStore(tmp_path)
        assert store.has_file(root)
        assert read(store, root) == noise(5000)
        store.close()


def test_a_damaged_tree_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = BlockStore(tmp_path)
    root = put(store, noise(5000))
    store.close()
    flip(tmp_path / "trees" / str(root), 50)
    with caplog.at_level(logging.WARNING):
        store = BlockStore(tmp_path)
    assert str(root) in caplog.text
    assert not store.has_file(root)
    assert not store.has_block(root)
    assert put(store, noise(5000)) == root
    assert read(store, root) == noise(5000)
    store.close()


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
    stranger = tmp_path / "files" / "notes.txt"
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
    assert store.size == on_disk(tmp_path) <= 5000
    store.close()


def test_what_is_discarded_is_gone_but_for_what_is_kept_or_in_use(tmp_path: Path) -> None:
    store = BlockStore(tmp_path)
    kept, used, gone = (put(store, noise(3000, seed)) for seed in range(3))
    store.pin(kept)
    with store.busy(used):
        for root in (kept, used, gone, Cid.of(RAW, b"never here")):
            store.discard(root)
    assert [store.has_file(root) for root in (kept, used, gone)] == [True, True, False]
    assert store.size == on_disk(tmp_path)
    store.discard(used)
    store.close()
    again = BlockStore(tmp_path)
    assert [again.has_file(root) for root in (kept, used, gone)] == [True, False, False]
    assert again.size == on_disk(tmp_path) < 2 * 3000
    again.close()


def test_blocks_shared_with_a_dropped_file_are_still_found(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, max_bytes=7000)
    common = noise(2000, 1)
    put(store, common + noise(1500, 3))
    kept = put(store, common + noise(500, 2))
    store.pin(kept)
    put(store, noise(3000, 4))
    assert read(store, kept) == common + noise(500, 2)
    store.collect(0, 0)
    assert read(store, kept) == common + noise(500, 2)
    assert store.size == on_disk(tmp_path)
    store.close()


def unfinished(store: BlockStore, data: bytes, come: int) -> Cid:
    """What a fetch leaves that broke off after `come` chunks of 1000 bytes."""
    blocks = [(cid, bytes(block)) for cid, block in blocks_of(data, 1000)]
    root = blocks[-1][0]
    with completing(store, root, 1) as partial:
        for cid, block in blocks:
            if cid.codec == DAG_PB:
                partial.add_node(cid, block)
        for chunk in partial.lay_out(chunks_of(root, partial.node, 10**6))[:come]:
            partial.write(chunk, dict(blocks)[chunk.cid])
    return root


def test_unfinished_files_go_first(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, max_bytes=9500)
    old = put(store, noise(2000, 2))
    root = unfinished(store, noise(5000), 3)
    assert store.has_block(Cid.of(RAW, noise(5000)[1000:2000]))
    newest = put(store, noise(5000, 4))
    assert store.has_file(old)
    assert store.has_file(newest)
    assert not store.has_block(Cid.of(RAW, noise(5000)[1000:2000]))
    assert not (tmp_path / "files" / str(root)).exists()
    assert store.size == on_disk(tmp_path)
    store.close()


def test_an_unfinished_file_counts_by_what_has_come(tmp_path: Path) -> None:
    store = BlockStore(tmp_path)
    data = noise(40_000)
    root = unfinished(store, data, 3)
    assert 3000 < store.size < 6000
    assert not store.has_file(root)
    store.close()
    store = BlockStore(tmp_path)
    assert store.size < 20_000
    with completing(store, root, 1) as partial:
        missing = partial.lay_out(chunks_of(root, partial.node, 10**6))
        assert len(missing) == 37
        assert 3000 < store.size < 6000
        for chunk in missing:
            partial.write(chunk, data[chunk.offset : chunk.offset + chunk.size])
            partial.write(chunk, data[chunk.offset : chunk.offset + chunk.size])
        partial.finish()
        assert partial.read() == data
    assert store.has_file(root)
    assert store.size == on_disk(tmp_path)
    store.close()


def test_a_file_being_completed_is_safe_from_collection(tmp_path: Path) -> None:
    store = BlockStore(tmp_path)
    data = noise(5000)
    root = unfinished(store, data, 3)
    with completing(store, root, 1) as partial:
        missing = partial.lay_out(chunks_of(root, partial.node, 10**6))
        store.collect(0, 0)
        for chunk in missing:
            partial.write(chunk, data[chunk.offset : chunk.offset + chunk.size])
        partial.finish()
    assert read(store, root) == data
    store.collect(0, 0)
    assert store.size == on_disk(tmp_path) == 0
    store.close()


def test_a_put_during_a_fetch_of_the_same_file(tmp_path: Path) -> None:
    store = BlockStore(tmp_path)
    data = noise(5000)
    root = unfinished(store, data, 1)
    with completing(store, root, 1) as partial:
        missing = partial.lay_out(chunks_of(root, partial.node, 10**6))
        assert put(store, data) == root
        for chunk in missing:
            partial.write(chunk, data[chunk.offset : chunk.offset + chunk.size])
        partial.finish()
        assert partial.read() == data
    assert store.size == on_disk(tmp_path)
    store.close()


def test_one_thread_completes_a_file(store: BlockStore) -> None:
    root = put(store, noise(5000))
    with (
        completing(store, root, 1),
        pytest.raises(NotFound, match="another caller"),
        completing(store, root, 0.01),
    ):
        pass


def test_a_source_that_shrinks_is_a_clear_error(store: BlockStore) -> None:
    with pytest.raises(StorageError, match="shorter"):
        store.put(lambda offset, size: b"", 5000, 1000)
    assert store.size == 0


def test_what_is_not_whole_cannot_be_pinned(store: BlockStore, tmp_path: Path) -> None:
    root = put(store, noise(5000))
    (tmp_path / "store" / "files" / str(root)).unlink()
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
        found = 0
        for turn in range(12):
            seed = (worker * 7 + turn) % 20
            root = put(store, noise(3000, seed))
            try:
                assert read(store, root) == noise(3000, seed)
                found += 1
            except NotFound:
                pass  # another thread's put may need the space by now
            assert read(store, kept) == noise(3000, 99)
        return found

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) > 0
    assert store.size == on_disk(tmp_path) <= 40_000
    assert list((tmp_path / "tmp").iterdir()) == []
    store.close()


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


def test_tiny_files_are_bounded_by_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "SPARE_ENTRIES", 40)
    store = BlockStore(tmp_path, max_bytes=10_000)
    roots = [put(store, bytes([n])) for n in range(100)]
    assert len(list((tmp_path / "files").iterdir())) <= 20
    assert store.has_file(roots[-1])
    for n in range(100, 110):
        store.pin(put(store, bytes([n])))

    def pin_more() -> None:
        for n in range(110, 130):
            store.pin(put(store, bytes([n])))

    with pytest.raises(StorageError, match="files and blocks are pinned"):
        pin_more()
    store.collect(0, 0)
    assert len(list((tmp_path / "files").iterdir())) <= 20
    store.close()


def test_what_is_forgotten_counts_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that share blocks, come again, are damaged and collected: the count stays true."""
    monkeypatch.setattr(quota, "SPARE_ENTRIES", 60)
    store = BlockStore(tmp_path, max_bytes=1_000_000)
    for n in range(30):
        root = put(store, bytes(3_000) + bytes([n]) * 2_000)
        unfinished(store, random.Random(n).randbytes(5_000), 2)
        path = store.path("files", root)
        path.write_bytes(bytes(5_000))
        store.has_file(root)
        put(store, bytes(3_000) + bytes([n]) * 2_000)
    store.collect(0, 0)
    assert store.size == 0
    for n in range(5):
        put(store, random.Random(n).randbytes(5_000))
    assert len(list((tmp_path / "files").iterdir())) == 5
    store.close()
