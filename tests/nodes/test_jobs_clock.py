"""Work beside the consensus thread, with real files and a real nonce search."""

from __future__ import annotations

import errno
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="the room needs ROS 2: run `make setup`")

from bift_ros.consensus.blocks import MIN_NONCE, Header
from bift_ros.consensus.proof_of_work import meets
from bift_ros.nodes.vehicle.clock import IterationClock, IterationSeconds
from bift_ros.nodes.vehicle.jobs import NonceSearch, StorageJobs
from bift_ros.peer.effects import Discard, Fetch, Pin, Put
from bift_ros.peer.events import Event, FetchFailed, FileFetched, NonceFound
from bift_ros.storage.cid import cid_of
from bift_ros.storage.embedded import EmbeddedStorage

pytestmark = pytest.mark.ros

EASY = Header(1, 1, bytes(32), bytes(32), 0, "0" * 40, 8, MIN_NONCE)
HOPELESS = replace(EASY, difficulty=64)
DEADLINE = 60.0


class Posted:
    """What the threads posted, in order."""

    def __init__(self) -> None:
        self._events: queue.Queue[Event] = queue.Queue()
        self.post = self._events.put
        self.complaints: list[str] = []
        self._complained = threading.Semaphore(0)

    def next(self) -> Event:
        return self._events.get(timeout=DEADLINE)

    def complain(self, text: str) -> None:
        self.complaints.append(text)
        self._complained.release()

    def complained(self, times: int) -> bool:
        """Whether so many more complaints come."""
        return all(self._complained.acquire(timeout=DEADLINE) for _ in range(times))

    @property
    def empty(self) -> bool:
        return self._events.empty()


@pytest.fixture
def posted() -> Posted:
    return Posted()


@pytest.fixture
def search(posted: Posted) -> Iterator[NonceSearch]:
    with closing(NonceSearch(posted.post)) as search:
        yield search


def test_a_nonce_is_found(search: NonceSearch, posted: Posted) -> None:
    search.start(EASY)
    found = posted.next()
    assert isinstance(found, NonceFound)
    assert meets(found.header.hash, EASY.difficulty)
    assert replace(found.header, nonce=EASY.nonce) == EASY
    assert not search.running


def test_a_search_is_replaced(search: NonceSearch, posted: Posted) -> None:
    search.start(HOPELESS)
    assert search.running
    search.start(replace(EASY, height=7))
    found = posted.next()
    assert isinstance(found, NonceFound)
    assert found.header.height == 7


def test_a_stopped_search_finds_nothing_and_another_may_follow(
    search: NonceSearch, posted: Posted
) -> None:
    search.start(HOPELESS)
    search.stop()
    assert not search.running
    search.start(EASY)
    found = posted.next()
    assert isinstance(found, NonceFound)
    assert found.header.difficulty == EASY.difficulty
    assert posted.empty


def test_closing_ends_a_running_search(posted: Posted) -> None:
    search = NonceSearch(posted.post)
    search.start(HOPELESS)
    search.close()  # joins the thread
    assert not search.running
    assert posted.empty


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[EmbeddedStorage]:
    with EmbeddedStorage(tmp_path / "own") as storage:
        yield storage


@pytest.fixture
def jobs(storage: EmbeddedStorage, posted: Posted) -> Iterator[StorageJobs]:
    with closing(StorageJobs(storage, posted.post, posted.complain)) as jobs:
        yield jobs


def test_a_file_is_fetched_from_another_vehicle_and_kept(
    jobs: StorageJobs, storage: EmbeddedStorage, posted: Posted, tmp_path: Path
) -> None:
    data = bytes(300_000)  # two chunks
    with EmbeddedStorage(tmp_path / "other") as other:
        cid = other.put(data)
        jobs.fetch(Fetch(cid, (other.url,), 2**20))
        assert posted.next() == FileFetched(cid, data)
    assert storage.has(cid)
    jobs.fetch(Fetch(cid, (), 2**20))  # the other is gone: from own storage now
    assert posted.next() == FileFetched(cid, data)


def test_what_was_put_is_there_when_the_call_returns(
    jobs: StorageJobs, storage: EmbeddedStorage, posted: Posted
) -> None:
    data = b"a global model"
    jobs.put(Put(cid_of(data), data, pinned=True))
    assert storage.has(cid_of(data))
    assert posted.empty
    assert jobs.take_seconds() > 0
    assert jobs.take_seconds() == 0


def test_what_is_fetched_is_kept_for_good_only_where_the_peer_says_so(
    jobs: StorageJobs, storage: EmbeddedStorage, posted: Posted, tmp_path: Path
) -> None:
    with EmbeddedStorage(tmp_path / "other") as other:
        cids = [other.put(bytes([n]) * 300_000) for n in range(2)]
        for cid in cids:
            jobs.fetch(Fetch(cid, (other.url,), 2**20))
            assert isinstance(posted.next(), FileFetched)
    rival = storage.put(b"a rival's model")
    jobs.put(Put(rival, b"a rival's model", pinned=False))
    jobs.pin(Pin((cid_of(b"not here"), cids[0])))
    jobs.discard(Discard((cid_of(b"not here"), *cids, rival)))
    jobs.close()
    assert [storage.has(cid) for cid in (*cids, rival)] == [True, False, False]
    assert posted.empty


def test_what_a_full_disk_kept_from_being_done_is_done_once_there_is_room(
    jobs: StorageJobs,
    storage: EmbeddedStorage,
    posted: Posted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bift_ros.nodes.vehicle.jobs._TRY_AGAIN_SECONDS", 0.0)
    model, kept, gone = b"a global model", storage.put(b"to be pinned"), storage.put(b"to go")

    full = True

    def on_the_disk(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*what: Any) -> Any:
            if full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return change(*what)

        changed.__name__ = change.__name__
        return changed

    for name in ("put", "pin", "discard"):
        monkeypatch.setattr(storage, name, on_the_disk(getattr(storage, name)))
    jobs.put(Put(cid_of(model), model, pinned=True))
    jobs.pin(Pin((kept,)))
    jobs.discard(Discard((gone,)))
    assert posted.complained(3)
    jobs.put_again()  # in vain
    assert posted.complained(3)
    full = False
    assert all("No space left" in complaint for complaint in posted.complaints)
    jobs.put_again()
    assert storage.has(cid_of(model))
    jobs.close()
    storage.discard(kept)
    assert storage.has(kept)
    assert not storage.has(gone)


@pytest.mark.parametrize("chunk_size", [2**20, 2**16])
def test_a_file_that_is_too_large_leaves_nothing(
    jobs: StorageJobs, posted: Posted, tmp_path: Path, chunk_size: int
) -> None:
    with EmbeddedStorage(tmp_path / "other", chunk_size=chunk_size) as other:
        cid = other.put(bytes(500_000))
        jobs.fetch(Fetch(cid, (other.url,), 300_000))
        failed = posted.next()
    assert isinstance(failed, FetchFailed)
    assert failed.final
    left = [path for path in (tmp_path / "own").rglob("*") if path.is_file()]
    assert {path.name for path in left} <= {"lock"}


def test_what_could_not_be_kept_is_kept_once_the_disk_allows(
    jobs: StorageJobs, storage: EmbeddedStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [b"model %d" % n for n in range(5)]
    incoming = tmp_path / "own" / "tmp"
    monkeypatch.setattr("bift_ros.nodes.vehicle.jobs._TRY_AGAIN_SECONDS", 0.0)
    incoming.rename(tmp_path / "gone")
    for data in models:
        jobs.put(Put(cid_of(data), data, pinned=True))
    jobs.put_again()
    assert not any(storage.has(cid_of(data)) for data in models)
    (tmp_path / "gone").rename(incoming)
    jobs.put_again()
    # Bounded: of so many the newest.
    assert [storage.has(cid_of(data)) for data in models] == [False, True, True, True, True]


def test_a_disk_that_fails_is_not_tried_all_the_time(
    jobs: StorageJobs, storage: EmbeddedStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bift_ros.nodes.vehicle.jobs._TRY_AGAIN_SECONDS", 3600.0)
    (tmp_path / "own" / "tmp").rename(tmp_path / "gone")
    jobs.put(Put(cid_of(b"a model"), b"a model", pinned=True))
    (tmp_path / "gone").rename(tmp_path / "own" / "tmp")
    jobs.put_again()
    assert not storage.has(cid_of(b"a model"))


@pytest.mark.parametrize("cid", [cid_of(b"nobody has it"), "no CID at all"])
def test_what_cannot_be_had_fails_with_the_reason(
    jobs: StorageJobs, posted: Posted, cid: str
) -> None:
    jobs.fetch(Fetch(cid, ("http://127.0.0.1:9",), 2**20))
    failed = posted.next()
    assert isinstance(failed, FetchFailed)
    assert failed.cid == cid
    assert failed.reason
    assert not failed.final


def test_a_provider_that_is_no_address_fails_too(jobs: StorageJobs, posted: Posted) -> None:
    cid = cid_of(b"nobody has it")
    for provider in ("", "file:///etc/passwd", "http://[", "\x00"):
        jobs.fetch(Fetch(cid, (provider,), 2**20))
        failed = posted.next()
        assert isinstance(failed, FetchFailed), provider
        assert failed.cid == cid


def test_the_clock_takes_an_iteration_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("bift_ros.nodes.vehicle.clock.time.monotonic", lambda: now)
    clock = IterationClock()
    assert clock.last == IterationSeconds()
    clock.training_started()
    now = 107.0
    clock.training_ended()
    clock.update_heard()
    now = 108.0
    clock.update_heard()
    now = 110.0
    clock.iteration_finished(1.5)
    assert clock.last == IterationSeconds(training=7.0, storage=1.5, consensus=2.0)
    # The next one is followed by a vehicle that neither trained nor heard of an update.
    now = 130.0
    clock.iteration_finished(0.0)
    assert clock.last == IterationSeconds()
