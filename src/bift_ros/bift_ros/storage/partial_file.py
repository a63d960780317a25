"""One file being completed: from what is here of it, and from what others send.

Chunks are written where they belong, in any order, by many threads. Nothing but the chunks' own
hashes says which have come, so a file that a killed process left behind is taken up by hashing it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.byte_ranges import ByteRanges
from bift_ros.storage.catalog import FileState, Place
from bift_ros.storage.chunker import RUN_BYTES, Buffer, map_ahead, write_at
from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.disk import copy_file, link_over, replacing, sync_folder, write_error
from bift_ros.storage.errors import NotFound, StorageError
from bift_ros.storage.node_log import log_record, read_node_log
from bift_ros.storage.unixfs import Chunk


class PartialFile:
    """The blocks of one file that are here and those that still have to come."""

    def __init__(self, store: BlockStore, root: Cid, state: FileState) -> None:
        self._store = store
        self._root = root
        self.received = ByteRanges()
        """Which of the file's bytes are here."""
        self._state = state
        self._content = store.path("files", root)
        self._tree = store.path("trees", root)
        self.size = self.here = 0
        """Bytes of the file's content, once it is laid out, and how many of them are here."""
        self._appending = threading.Lock()
        self._descriptor = -1
        self._named: Future[None] | None = None
        self._claimed: set[int] = set()  # offsets of the chunks that were given to `write`
        found = read_node_log(self._tree)
        self._tree_end = max((at + len(node) for at, node in found.values()), default=0)
        self._nodes = {cid: node for cid, (_, node) in found.items()}
        for cid, (at, node) in found.items():
            store.add(cid, Place(root, "trees", at, len(node)), state)

    # -- nodes

    def has_node(self, cid: Cid) -> bool:
        """Whether a node of the tree is here."""
        return cid in self._nodes

    def node(self, cid: Cid) -> bytes:
        """A node of the tree, be it another file's. Raises `NotFound`."""
        return self._nodes[cid] if cid in self._nodes else self._store.get(cid)

    def add_node(self, cid: Cid, data: Buffer) -> None:
        """Keep the node that `cid` names, once it was judged. Raises `StorageError`."""
        node = bytes(data)
        entry = log_record(node)
        self._store.take_room(self._root, self._state, len(entry))
        with self._appending:
            try:
                with self._tree.open("r+b" if self._tree.exists() else "w+b") as file:
                    file.truncate(self._tree_end)  # a record that a kill cut off
                    file.seek(self._tree_end)
                    file.write(entry)
            except OSError as error:
                raise write_error(f"block {cid}", error) from error
            self._tree_end += len(entry)
            self._nodes[cid] = node
            place = Place(self._root, "trees", self._tree_end - len(node), len(node))
            self._store.add(cid, place, self._state)

    # -- content

    def lay_out(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Say which chunks make the file; returns those that aren't here, each hashed to know.

        Room for all of them is made first. Raises `StorageError`.
        """
        size = chunks[-1].offset + chunks[-1].size
        if not self._state.whole:
            room = size + self._tree_end - self._state.size
            self._store.quota.require(room, len({chunk.cid for chunk in chunks}), self._root)
        try:
            begun = self._open(size)
            missing = self._missing(chunks, begun)
            self.size = size
            self.here = size - sum(chunk.size for chunk in missing)
        except OSError as error:
            raise write_error(str(self._root), error) from error
        if not self._state.whole:
            lost = {chunk.offset for chunk in missing}
            here = [chunk for chunk in chunks if chunk.offset not in lost]
            counted = sum(chunk.size for chunk in here) + self._tree_end
            self._store.take_room(self._root, self._state, counted - self._state.size)
            for chunk in here:
                self._list(chunk)
            self._named = self._store.pool.submit(self._sync_names)
        return missing

    def _missing(self, chunks: Sequence[Chunk], begun: bool) -> list[Chunk]:
        """The chunks that are neither in this file, if some of it may be, nor in another one."""
        maybe = chunks if begun else [c for c in chunks if self._store.has_block(c.cid)]
        step = max(1, RUN_BYTES // max(1, chunks[0].size))

        def look(start: int) -> list[int]:
            run = maybe[start : start + step]
            return [chunk.offset for chunk in run if self._is_here(chunk, begun)]

        runs = iter(range(0, len(maybe), step))
        here = {at for run in map_ahead(self._store.pool, look, runs) for at in run}
        return [chunk for chunk in chunks if chunk.offset not in here]

    def _open(self, size: int) -> bool:
        """Open the content and give it its length; whether some of it may be here."""
        if not self._state.whole and self._is_shared():
            # What others hold a link to may have been changed by them, and is theirs to change.
            with replacing(self._content) as target:
                copy_file(self._content, target)
        self._descriptor = os.open(self._content, os.O_RDWR | os.O_CREAT, 0o666)
        length = os.fstat(self._descriptor).st_size
        if length != size:
            os.ftruncate(self._descriptor, size)
        return length > 0

    def _is_shared(self) -> bool:
        return self._content.exists() and self._content.stat().st_nlink > 1

    def write(self, chunk: Chunk, data: Buffer) -> None:
        """Put a chunk's bytes where they belong, once; raises `StorageError`."""
        with self._store.mutex:
            if chunk.offset in self._claimed:  # two providers gave it at once
                return
            self._claimed.add(chunk.offset)
            self._store.take_room(self._root, self._state, chunk.size)
        try:
            write_at(self._descriptor, data, chunk.offset)
        except OSError as error:
            raise write_error(f"block {chunk.cid}", error) from error
        with self._store.mutex:
            self.here += chunk.size
            self._list(chunk)

    def finish(self) -> None:
        """Make the file durable now that all of it is here."""
        if self._state.whole:
            self._store.touch(self._root)
            return
        assert self._named is not None, "it was laid out"
        try:
            os.fsync(self._descriptor)
            self._named.result()
        except OSError as error:
            raise write_error(str(self._root), error) from error
        self._store.settle(self._root, self._state)

    def _sync_names(self) -> None:
        """Make all but the content durable, while that still comes."""
        if self._nodes:
            with self._tree.open("rb") as file:
                os.fsync(file.fileno())
            sync_folder(self._tree.parent)
        sync_folder(self._content.parent)

    def read(self) -> bytes:
        """The finished file. Raises `StorageError`."""
        try:
            return self._content.read_bytes()
        except OSError as error:
            raise StorageError(f"{self._root} cannot be read: {error}") from error

    def export(self, path: Path) -> None:
        """Let `path` be the finished file, in one step; raises `StorageError`.

        On the store's file system it is a link, so that the file takes its space once; one link
        at most, lest two files of the user's be the same. Who changes the file in place only takes
        it from the store, which notices by the time of the change.
        """
        path = Path(os.path.abspath(path))
        with self._store.mutex:
            if not self._is_shared() and link_over(self._content, path):
                return
        try:
            with replacing(path) as target:
                copy_file(self._content, target)
        except OSError as error:
            raise write_error(str(path), error) from error

    def close(self) -> None:
        """No more is written."""
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def _list(self, chunk: Chunk) -> None:
        self.received.add(chunk.offset, chunk.offset + chunk.size)
        place = Place(self._root, "files", chunk.offset, chunk.size)
        self._store.add(chunk.cid, place, self._state)

    def _is_here(self, chunk: Chunk, begun: bool) -> bool:
        """Find a chunk in this file, else in another one."""
        data = b""
        if begun and not self._is_hole(chunk):
            data = os.pread(self._descriptor, chunk.size, chunk.offset)
        if not chunk.cid.matches(data):
            if not self._store.has_block(chunk.cid):
                return False
            try:
                data = self._store.get(chunk.cid)
            except NotFound:
                return False
            if len(data) != chunk.size:
                return False
            self._store.take_room(self._root, self._state, chunk.size)
            write_at(self._descriptor, data, chunk.offset)
        return True

    def _is_hole(self, chunk: Chunk) -> bool:
        try:
            start = os.lseek(self._descriptor, chunk.offset, os.SEEK_DATA)
        except OSError:  # nothing but a hole from here to the end
            return True
        return start >= chunk.offset + chunk.size


@contextmanager
def completing(store: BlockStore, root: Cid, timeout: float) -> Iterator[PartialFile]:
    """Complete a file; no other thread does meanwhile, and no collection takes it.

    Raises `NotFound` where another thread is at it for more than `timeout` seconds.
    """
    with store.busy(root) as state:
        if not state.completing.acquire(timeout=timeout):
            raise NotFound(f"{root} is still being fetched for another caller after {timeout:g} s")
        try:
            partial = PartialFile(store, root, state)
            state.received = partial.received
            try:
                yield partial
            finally:
                state.received = None
                partial.close()
        finally:
            state.completing.release()
