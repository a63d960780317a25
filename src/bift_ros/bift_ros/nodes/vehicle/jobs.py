"""Work that must not hold up the consensus thread: files in and out, and the nonce search."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bift_ros.consensus.blocks import Header
from bift_ros.consensus.proof_of_work import search
from bift_ros.peer.effects import Discard, Fetch, Pin, Put, Unpin
from bift_ros.peer.events import Event, FetchFailed, FileFetched, NonceFound
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.interface import NotFound, Storage, StorageError

log = logging.getLogger(__name__)

Post = Callable[[Event], None]

_MAXIMUM_UNKEPT = 4
"""Global models, the newest, which wait in memory to be kept."""
_MAXIMUM_UNCHANGED = 4096
_TRY_AGAIN_SECONDS = 10.0


class StorageJobs:
    """Carries out what is wanted of files. `post` must be safe to call from any thread."""

    def __init__(self, storage: Storage, post: Post, failed: Callable[[str], None]) -> None:
        """`failed` is told of what could not be done and is tried again; safe like `post`."""
        self._storage = storage
        self._post, self._failed = post, failed
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="storage")
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="keeper")
        self._lock = threading.Lock()
        self._seconds = 0.0
        self._unkept: dict[str, Put] = {}
        """What could not be kept, by CID, oldest first."""
        self._unchanged: dict[str, Callable[[str], None]] = {}
        """By CID, what could not be done with a file: the newest of pin, unpin and discard."""
        self._try_again_at = 0.0
        """Monotonic seconds."""

    def take_seconds(self) -> float:
        """Seconds spent on files since the last call, over all threads."""
        with self._lock:
            seconds, self._seconds = self._seconds, 0.0
        return seconds

    def fetch(self, effect: Fetch) -> None:
        """Get a file, from own storage where it is there."""
        self._pool.submit(self._fetch, effect)

    def put(self, effect: Put) -> None:
        """Have a file, and pin it where the chain refers to it. Blocks until it is durable.

        What follows relies on it: others fetch the file as soon as they hear of its block.
        """
        started = time.monotonic()
        try:
            cid = self._storage.put(effect.data)
            if effect.pinned:
                self._storage.pin(cid)
        except (StorageError, OSError) as error:
            self._failed(f"file {effect.cid} can't be kept, to be tried again: {error}")
            self._unkept[effect.cid] = effect
            if len(self._unkept) > _MAXIMUM_UNKEPT:
                del self._unkept[next(iter(self._unkept))]
            self._try_again_at = started + _TRY_AGAIN_SECONDS
        else:
            self._unkept.pop(effect.cid, None)
        self._count(started)

    def put_again(self) -> None:
        """Do what could not be done some time ago, such as with a full disk; called often.

        The chain may refer to it, and others can do with it late: they ask again and again.
        """
        if time.monotonic() < self._try_again_at:
            return
        for effect in list(self._unkept.values()):
            self.put(effect)
        with self._lock:
            unchanged, self._unchanged = self._unchanged, {}
        for cid, change in unchanged.items():
            self._keeper.submit(self._each, (cid,), change)

    def pin(self, effect: Pin) -> None:
        """Keep what is here of some files."""
        self._keeper.submit(self._each, effect.cids, self._storage.pin)

    def unpin(self, effect: Unpin) -> None:
        """Let some files go when room is needed."""
        self._keeper.submit(self._each, effect.cids, self._storage.unpin)

    def discard(self, effect: Discard) -> None:
        """Remove files that nothing keeps."""
        self._keeper.submit(self._each, effect.cids, self._storage.discard)

    def close(self) -> None:
        """Finish what is running, keep what is to be kept, and drop the fetches that are queued."""
        self._pool.shutdown(cancel_futures=True)
        self._keeper.shutdown()

    def _fetch(self, effect: Fetch) -> None:
        started = time.monotonic()
        try:
            data = self._storage.get(effect.cid, effect.providers, largest=effect.largest)
        except InvalidFile as error:
            self._each((effect.cid,), self._storage.discard)
            self._post(FetchFailed(effect.cid, str(error), final=True))
        except (StorageError, OSError) as error:
            self._post(FetchFailed(effect.cid, str(error)))
        else:
            self._post(FileFetched(effect.cid, data))
        self._count(started)

    def _each(self, cids: Sequence[str], change: Callable[[str], None]) -> None:
        for cid in cids:
            with self._lock:
                self._unchanged.pop(cid, None)
            try:
                change(cid)
            except NotFound:
                log.debug("file %s is not here", cid)
            except (StorageError, OSError) as error:
                with self._lock:
                    self._try_again_at = time.monotonic() + _TRY_AGAIN_SECONDS
                    if len(self._unchanged) < _MAXIMUM_UNCHANGED:
                        self._unchanged[cid] = change
                self._failed(f"can't {change.__name__} file {cid}, to be tried again: {error}")

    def _count(self, started: float) -> None:
        with self._lock:
            self._seconds += time.monotonic() - started


class NonceSearch:
    """One search at a time, in slices, so that it can be replaced or stopped between them."""

    _SLICE = 4096

    def __init__(self, post: Post) -> None:
        self._post = post
        self._changed = threading.Condition()
        self._header: Header | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="nonce", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether a nonce is being searched."""
        return self._header is not None

    def start(self, header: Header) -> None:
        """Search for this header instead of whatever is being searched for."""
        with self._changed:
            self._header = header
            self._changed.notify()

    def stop(self) -> None:
        """Search for nothing."""
        with self._changed:
            self._header = None

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._header, self._closing = None, True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._header is not None or self._closing)
                header = self._header
            if header is None:
                return
            nonce = header.nonce
            while self._header is header:
                found = search(header, nonce, self._SLICE)
                if found is not None:
                    with self._changed:
                        if self._header is not header:
                            break
                        self._header = None
                    self._post(NonceFound(found))
                    break
                nonce += self._SLICE
