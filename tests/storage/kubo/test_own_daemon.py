"""A vehicle's own Kubo daemon, and what happens to the store when it dies."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from bift_ros.storage.interface import Storage, StorageError
from bift_ros.storage.kubo.config import KuboSettings
from bift_ros.storage.kubo.daemon import KuboDaemon
from bift_ros.storage.kubo.own_daemon import OwnKuboStorage

pytestmark = pytest.mark.kubo

Own = Callable[[], OwnKuboStorage]


@pytest.fixture
def own(tmp_path: Path, ipfs: str) -> Iterator[Own]:
    made: list[OwnKuboStorage] = []

    def make() -> OwnKuboStorage:
        made.append(OwnKuboStorage(tmp_path / "kubo", KuboSettings(), "127.0.0.1"))
        return made[-1]

    yield make
    for store in made:
        store.close()


def kill(store: OwnKuboStorage) -> int:
    pid = store._daemon.pid
    assert pid is not None
    os.kill(pid, 9)
    return pid


def answers(store: OwnKuboStorage) -> bool:
    try:
        store._daemon.api.version()
    except StorageError:
        return False
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_is_a_storage_whose_daemon_ends_with_it(own: Own) -> None:
    store = own()
    kept: Storage = store
    cid = kept.put(b"model")
    kept.pin(cid)
    pid = store._daemon.pid
    assert pid is not None
    store.close()
    assert not psutil.pid_exists(pid)
    with pytest.raises(StorageError):
        store.put(b"more")
    again = own()
    assert again.url == store.url
    assert again.get(cid) == b"model"


def test_a_call_that_meets_a_dead_daemon_is_made_again(own: Own, tmp_path: Path) -> None:
    store = own()
    cid = store.put(b"model")
    path = tmp_path / "file"
    calls: list[Callable[[], object]] = [
        lambda: store.put(b"more"),
        lambda: store.get(cid),
        lambda: store.has(cid),
        lambda: store.pin(cid),
        lambda: store.unpin(cid),
        lambda: store.get_file(cid, path),
        lambda: store.put_file(path),
    ]
    for call in calls:
        kill(store)
        call()
    assert path.read_bytes() == b"model"


def test_a_dead_daemon_comes_again_without_being_asked(own: Own) -> None:
    store = own()
    pid = kill(store)
    wait_until(lambda: store._daemon.pid not in (None, pid))
    wait_until(lambda: answers(store))
    assert store.peers() == []


def test_many_threads_survive_one_kill_after_another(own: Own) -> None:
    store = own()
    came, done = threading.Semaphore(0), threading.Event()

    def work(number: int) -> list[str]:
        cids = []
        while not done.is_set():
            cids.append(store.put(b"%d %d" % (number, len(cids))))
            came.release()
        return cids

    with ThreadPoolExecutor(4) as pool:
        putting = [pool.submit(work, number) for number in range(4)]
        try:
            killed = None
            for _ in range(4):
                wait_until(lambda: store._daemon.pid not in (None, killed))  # noqa: B023
                while came.acquire(blocking=False):
                    pass
                # Once one has come, the others' calls are being made again.
                assert came.acquire(timeout=60)
                killed = kill(store)
        finally:
            done.set()
        for cids in [future.result(60) for future in putting]:
            assert all(store.has(cid) for cid in cids)


def test_a_daemon_that_an_earlier_process_left_is_replaced(own: Own, tmp_path: Path) -> None:
    left = KuboDaemon(tmp_path / "kubo")
    left.init(KuboSettings())
    left.start()
    pid = left.pid
    store = own()
    assert store._daemon.pid not in (None, pid)
    assert store.has(store.put(b"model"))
