"""Files on disk as their blocks: durable, checked on every read, bounded in size.

A file is written, synced and served as one run of disk, and yet every block of it is found by
its hash: an index in memory, built from the trees when the store opens, says where. The next fetch
of a file that a killed process left without a root goes on from there; the collector takes it
first. The layout on disk is `StoreFolder`'s.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bift_ros.storage.byte_ranges import ByteRanges
from bift_ros.storage.catalog import Catalog, FileState, Place
from bift_ros.storage.chunker import WORKERS, Read, copy_chunks
from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.errors import NotFound, StorageError
from bift_ros.storage.node_log import log_record, read_node_log
from bift_ros.storage.quota import Quota
from bift_ros.storage.store_folder import StoreFolder
from bift_ros.storage.unixfs import Chunk, build_tree, check_chunk_size

log = logging.getLogger(__name__)

MAX_BYTES = 8 * 1024**3
"""Bytes of files that a store keeps by default."""


class BlockStore:
    """The files and blocks of one vehicle. Thread-safe; one process at a time may open it."""

    def __init__(self, path: str | Path, max_bytes: int = MAX_BYTES) -> None:
        """Open a store, or make one. Raises `StorageError`.

        `max_bytes` bounds the files' bytes; when they would pass it, the files used longest ago
        that nobody pinned are dropped.
        """
        self.mutex = threading.RLock()
        self.pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="store")
        self._folder = StoreFolder(Path(path))
        self._catalog = Catalog()
        self.quota = Quota(self._folder.home, max_bytes, self.mutex, self._catalog, self.collect)
        self._busy: Counter[Cid] = Counter()
        try:
            self._load()
        except OSError as error:
            self._folder.close()
            raise StorageError(f"the block store {path} cannot be read: {error}") from error

    @property
    def size(self) -> int:
        """Bytes of all files, their trees included."""
        return self.quota.used

    def close(self) -> None:
        """Let another process open the store."""
        self.pool.shutdown()
        self._folder.close()

    # -- blocks

    def has_block(self, cid: Cid) -> bool:
        """Whether a block is here; its bytes are checked only when they are read."""
        return cid.digest in self._catalog

    def get(self, cid: Cid) -> bytes:
        """Read one block. Raises `NotFound`.

        A block whose bytes no longer match its CID is logged, forgotten and reported as not found;
        its file is no longer whole until the block was put or fetched again.
        """
        damaged = False
        for place in self._catalog.places(cid.digest):
            data = self._folder.read(place)
            if data is not None and cid.matches(data):
                return data
            damaged = True
            self._forget_damaged(cid, place)
        if damaged:
            raise NotFound(f"block {cid} was damaged on disk and has been removed; fetch it again")
        raise NotFound(f"block {cid} is not in this store")

    # -- files

    def has_file(self, root: Cid) -> bool:
        """Whether all of a file is here.

        One that was changed in place, or deleted, by whoever else has a link to it isn't.
        """
        state = self._catalog.files.get(root)
        if state is None or not state.whole:
            return False
        if self._folder.change_time(root) != state.changed:
            log.warning("stored file %s was changed from outside; it must be fetched again", root)
            self._lose(root)
            return False
        return True

    def covers(self, root: Cid, start: int, stop: int) -> bool:
        """Whether a file's bytes from `start` up to `stop` are here."""
        if self.has_file(root):
            return True
        received = self.received(root)
        return received is not None and received.cover(start, stop)

    def received(self, root: Cid) -> ByteRanges | None:
        """What is here of a file that is being completed; None for any other."""
        state = self._catalog.files.get(root)
        return None if state is None or state.whole else state.received

    def path(self, folder: str, root: Cid) -> Path:
        """Where the `files` or the `trees` part of a file is."""
        return self._folder.path(folder, root)

    def put(self, read: Read, size: int, chunk_size: int) -> Cid:
        """Store `size` bytes durably, over whatever was here of them. Raises `StorageError`."""
        check_chunk_size(chunk_size)
        reserved = self.quota.reserved(size, 2 + size // chunk_size, "a file")
        with reserved, self._folder.temporary() as (content, tree):
            with content.open("wb") as file:
                cids = copy_chunks(read, size, chunk_size, file.fileno(), self.pool)
                os.fsync(file.fileno())
            root, nodes = build_tree(cids, size, chunk_size)
            records = b"".join(log_record(node) for _, node in nodes)
            with self.quota.reserved(len(records), len(nodes), "a file's tree"):
                if nodes:
                    with tree.open("wb") as file:
                        file.write(records)
                        file.flush()
                        os.fsync(file.fileno())
                with self.mutex:
                    self._forget(root)
                    self._folder.publish(root, content, tree)
                    state = self._catalog.files[root] = FileState(size + len(records))
                    self.quota.used += state.size
                    self._add_whole(root, size)
                    self._record_root(root, state)
        return root

    def touch(self, root: Cid) -> None:
        """Note that a file was used, so that it is dropped later than others."""
        with self.mutex:
            if self.has_file(root):
                self._record_root(root, self._catalog.files[root])

    def pin(self, root: Cid) -> None:
        """Keep a file for good, across restarts. Raises `NotFound` where it isn't wholly here."""
        with self.mutex:
            if not self.has_file(root):
                raise NotFound(f"{root} can't be pinned: it is not, or not wholly, in this store")
            self._folder.pins.add(root)
            self._record_root(root, self._catalog.files[root])

    def unpin(self, root: Cid) -> None:
        """Allow the collector to take a file."""
        with self.mutex:
            self._folder.pins.remove(root)

    def pins(self) -> set[Cid]:
        """The files kept for good."""
        return set(self._folder.pins.oldest_first())

    def collect(self, target: int, entries: int) -> None:
        """Remove files until they take at most so much, or only kept ones are left.

        Unfinished files go first, then whole ones, each in the order of their last use. Pinned
        files, and those that are being added or read, stay.
        """
        with self.mutex:
            kept = self.pins() | self._busy.keys()
            unfinished = [root for root, state in self._catalog.files.items() if not state.whole]
            unfinished.sort(key=self._folder.change_time)
            for root in (*unfinished, *self._folder.roots.oldest_first()):
                if self.size <= target and self._catalog.entries <= entries:
                    break
                if root not in kept:
                    self._remove(root)

    def discard(self, root: Cid) -> None:
        """Remove what is here of a file, unless it is pinned, or being added or read."""
        with self.mutex:
            if self._folder.pins.note(root) is None and root not in self._busy:
                self._remove(root)

    # -- files on their way in, for `PartialFile`

    @contextmanager
    def busy(self, root: Cid) -> Iterator[FileState]:
        """Keep what is here of a file from collection; gives what the store knows of it."""
        with self.mutex:
            self._busy[root] += 1
            state = self._catalog.file(root)
            self.has_file(root)
        try:
            yield state
        finally:
            with self.mutex:
                self._busy[root] -= 1
                self._busy += Counter()  # forgets what is at zero
                kept = self._busy[root] or state.size or state.whole
                if not kept and self._catalog.files.get(root) is state:
                    self._forget(root)
                    self._folder.remove(root)

    def add(self, cid: Cid, place: Place, state: FileState) -> None:
        """Let a block that was just written be found."""
        with self.mutex:
            if self._catalog.files.get(place.root) is state:  # else a put came before it
                self._catalog.add(cid, place)

    def take_room(self, root: Cid, state: FileState, size: int) -> None:
        """Count `size` more bytes of a file, a block's, collecting where they need room; or fewer.

        Raises `StorageError` where the store is full.
        """
        with self.mutex:
            if self._catalog.files.get(root) is state:
                if size > 0:
                    self.quota.require(size, 1, root)
                state.size += size
                self.quota.used += size

    def settle(self, root: Cid, state: FileState) -> None:
        """Note that a file is whole and synced, its names in their folders too."""
        with self.mutex:
            self._record_root(root, state)

    def _load(self) -> None:
        self._folder.clear_temporary()
        whole = self._folder.roots.notes()
        files, trees = self._folder.statuses("files"), self._folder.statuses("trees")
        for root, status in (*files.items(), *trees.items()):
            size = status.st_size
            if root not in whole:  # it has holes where chunks are missing
                size = min(size, status.st_blocks * 512)
            self._catalog.file(root).size += size
            self.quota.used += size
        for root, changed in whole.items():
            state = self._catalog.file(root)
            try:
                if root not in files:
                    raise NotFound("its content is gone")
                chunks = self._add_whole(root, files[root].st_size)
                state.changed = files[root].st_mtime_ns
                if str(state.changed) != changed:
                    # Changed from outside, or a put over it was killed: its hashes tell.
                    self._verify(root, chunks)
                    self._folder.roots.add(root, str(state.changed))
                state.whole = True
            except (StorageError, OSError) as error:
                log.warning(
                    "the stored file %s is damaged and must be fetched again: %s", root, error
                )
                self._lose(root)

    def _add_whole(self, root: Cid, length: int) -> list[Chunk]:
        nodes = {} if root.codec == RAW else read_node_log(self.path("trees", root))
        return self._catalog.add_whole(root, nodes, length)

    def _verify(self, root: Cid, chunks: list[Chunk]) -> None:
        """Hash a file's content. Raises `InvalidFile`."""
        for chunk in chunks:
            data = self._folder.read(Place(root, "files", chunk.offset, chunk.size))
            if data is None or not chunk.cid.matches(data):
                raise InvalidFile(f"chunk {chunk.cid} was changed from outside")

    def _record_root(self, root: Cid, state: FileState) -> None:
        """Note durably that a file is whole, and used now."""
        if not state.whole:
            state.changed = self._folder.change_time(root)
            state.whole = True
        self._folder.roots.add(root, str(state.changed))

    def _lose(self, root: Cid) -> None:
        """Note that a file is no longer whole."""
        with self.mutex:
            self._folder.roots.remove(root)
            self._catalog.files[root].whole = False

    def _remove(self, root: Cid) -> None:
        # The root first, so that a kill in between leaves an unfinished file.
        self._folder.roots.remove(root)
        self._forget(root)
        self._folder.remove(root)

    def _forget(self, root: Cid) -> None:
        self.quota.used -= self._catalog.forget_file(root).size

    def _forget_damaged(self, cid: Cid, place: Place) -> None:
        with self.mutex:
            # Another thread may have mended the block, or dropped the file, in the meantime.
            data = self._folder.read(place)
            mended = data is not None and cid.matches(data)
            if mended or place not in self._catalog.places(cid.digest):
                return
            self._catalog.forget_block(cid.digest, place.root)
            self._lose(place.root)
            log.warning("block %s of %s was damaged on disk; forgotten", cid, place.root)
