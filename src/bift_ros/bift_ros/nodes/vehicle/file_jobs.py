"""A vehicle shares its owner's files with the fleet, and fetches them.

The file's bytes never go through DDS: the request names a path on the vehicle's machine. Work runs
on threads of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rclpy.node import Node

from bift_ros.consensus.exceptions import ChainError, FieldError
from bift_ros.consensus.payloads import ShareFile, WithdrawFile
from bift_ros.consensus.sharing import shared_files
from bift_ros.nodes.vehicle.peer_node import PeerNode
from bift_ros.nodes.vehicle.steps import when_done
from bift_ros.peer.owner_requests import OwnerRequest
from bift_ros.storage.cid import cid_of
from bift_ros.storage.interface import Storage, StorageError

_MAXIMUM_JOBS = 16
_THREADS = 2


@dataclass
class Job:
    """How far something is that the owner asked for; the fields are those of `OwnerJob.srv`."""

    request: OwnerRequest
    size: int = 0
    here: int = 0
    cid: str = ""
    error: str = ""
    done: bool = False
    work: Future[None] | None = field(default=None, repr=False)


class FileJobs:
    """Carries out the owner's file jobs. All but the copying runs in the executor's thread."""

    ACTIONS = ("share", "fetch", "withdraw")

    def __init__(self, node: Node, storage: Storage, peer: PeerNode) -> None:
        self._node, self._storage, self._peer = node, storage, peer
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="files")
        self._jobs: dict[OwnerRequest, Job] = {}

    def close(self) -> None:
        """Drop what is queued. The storage ends what runs, and is to be closed before."""
        self._pool.shutdown(cancel_futures=True)

    def ask(self, request: OwnerRequest) -> Job:
        """Begin the job of a request if it is new, and tell how it stands; the last time, if done.

        Raises ChainError, StorageError or OSError.
        """
        job = self._job(request)
        if job.done:
            del self._jobs[request]
        return job

    def _job(self, request: OwnerRequest) -> Job:
        job = self._jobs.get(request)
        if job is not None:
            return job
        if len(self._jobs) >= _MAXIMUM_JOBS:
            self._forget_one()
        begin = dict(zip(self.ACTIONS, (self._share, self._fetch, self._withdraw), strict=True))
        job = Job(request)
        begin[request.action](job)
        self._jobs[request] = job
        return job

    def _forget_one(self) -> None:
        """Make room: a job that ended without anybody asking how."""
        ended = next((request for request, job in self._jobs.items() if job.done), None)
        if ended is None:
            raise StorageError(f"{len(self._jobs)} files are under way: try again later")
        del self._jobs[ended]

    def _share(self, job: Job) -> None:
        path = _absolute(job.request.path)
        job.size = path.stat().st_size
        if job.request.name:  # what would be refused in the end is refused at once
            ShareFile(job.request.name, cid_of(b""), job.size, job.request.description)

        def work() -> None:
            job.cid = self._storage.put_file(path)
            self._storage.pin(job.cid)

        self._start(job, work, self._announce)

    def _fetch(self, job: Job) -> None:
        request = job.request
        path = _absolute(request.path)
        if path.exists():
            raise FileExistsError(f"{path} exists: give another name, or move it away")
        if not os.access(path.parent, os.W_OK):
            raise StorageError(f"the vehicle can't write into {path.parent}")
        providers, listed = self._holders(request.cid)
        job.size = listed or 0
        job.cid = request.cid

        def tell(here: int, size: int) -> None:
            job.here, job.size = max(job.here, here), size or job.size

        self._start(
            job,
            lambda: self._storage.get_file(
                request.cid, path, providers, largest=listed, on_progress=tell
            ),
        )

    def _withdraw(self, job: Job) -> None:
        name = job.request.name
        if name not in self._own_list():
            raise FieldError(f"this vehicle lists no file {name!r:.110} (yet)")
        job.cid = self._own_list()[name]
        self._peer.submit(WithdrawFile(name))
        self._let_go(job.cid, name)
        job.done = True

    def _start(
        self, job: Job, work: Callable[[], None], then: Callable[[Job], None] | None = None
    ) -> None:
        job.work = self._pool.submit(work)
        when_done(self._node, job.work, lambda done: self._ended(done, job, then))

    def _ended(self, done: Future[None], job: Job, then: Callable[[Job], None] | None) -> None:
        try:
            done.result()
            job.here = max(job.here, job.size)
            if then is not None:
                then(job)
        except (ChainError, StorageError, OSError) as error:
            job.error = str(error)
        job.done = True

    def _announce(self, job: Job) -> None:
        """Have the chain list a file that is in storage, where that is wanted."""
        name = job.request.name
        if not name:
            return
        replaced = self._own_list().get(name)
        self._peer.submit(ShareFile(name, job.cid, job.size, job.request.description))
        if replaced is not None and replaced != job.cid:
            self._let_go(replaced, name)

    def _own_list(self) -> dict[str, str]:
        """The CIDs of the files that this vehicle lists, by name."""
        listed = self._peer.peer.state.shares.get(self._peer.address, {})
        return {name: shared.file.cid for name, shared in listed.items()}

    def _let_go(self, cid: str, name: str) -> None:
        """Unpin a file that is not listed as `name` any more, unless it has another name."""
        if all(other != cid for listed, other in self._own_list().items() if listed != name):
            self._storage.unpin(cid)

    def _holders(self, cid: str) -> tuple[tuple[str, ...], int | None]:
        """Gateways that may serve a file, those who list it first; and its size, as they say.

        Where they say different sizes it is the largest: who lies can't keep others from the file.
        """
        known = self._peer.peer.providers
        listing = [
            (a, f.file.size) for a, f in shared_files(self._peer.peer.state) if f.file.cid == cid
        ]
        first = [known[address] for address, _ in listing if address in known]
        largest = max((size for _, size in listing), default=None)
        return tuple(dict.fromkeys((*first, *known.values()))), largest


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise FieldError(f"path: {text!r:.200} is not absolute")
    return path
