"""A vehicle's own Kubo daemon, and what happens to the store when it dies."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bift_ros.storage.interface import Storage, StorageError
from bift_ros.storage.kubo_config import KuboSettings
from bift_ros.storage.kubo_daemon import KuboDaemon
from bift_ros.storage.own_kubo import OwnKuboStorage

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
    store._up.wait(60)
    assert store.peers() == []


def test_many_threads_survive_a_kill(own: Own) -> None:
    store = own()
    cids: list[str] = []

    def work(number: int) -> None:
        cids.extend(store.put(b"%d %d" % (number, n)) for n in range(20))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(cids) > 0 or not any(t.is_alive() for t in threads))
    kill(store)
    for thread in threads:
        thread.join()
    assert len(set(cids)) == 80
    assert all(store.has(cid) for cid in cids)


def test_a_daemon_that_an_earlier_process_left_is_replaced(own: Own, tmp_path: Path) -> None:
    left = KuboDaemon(tmp_path / "kubo")
    left.init(KuboSettings())
    left.start()
    pid = left.pid
    store = own()
    assert store._daemon.pid not in (None, pid)
    assert store.has(store.put(b"model"))
