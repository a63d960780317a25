"""Files on disk as their blocks: durable, checked on every read, bounded in size.

    files/<cid>     the file's own bytes: its chunks one after the other
    trees/<cid>     its inner nodes, where it has more than one chunk (`trees.py`)
    roots/<cid>     the file is whole and durable; holds the time of its last change, lest
                    somebody changes it in place; its own mtime is when it was last used
    pins/<cid>      empty; one for each file to be kept
    tmp/            files being put, whose CID isn't known yet
    lock            held while the store is open

So a file is written, synced and served as one stretch of disk, and yet every block of it is found
by its hash: an index in memory, built from the trees when the store opens, says where. A root
appears only once all that it stands for is synced. What a killed process leaves behind is a file
without a root: the next fetch of it goes on from there, and the collector takes it first.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bift_ros.storage.block_index import BlockIndex, Place
from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.copying import WORKERS, Read, copy_chunks
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.disk import sync_folder, write_error
from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.marks import Marks
from bift_ros.storage.ranges import Ranges
from bift_ros.storage.trees import read_tree, record
from bift_ros.storage.unixfs import Chunk, check_chunk_size, chunks_of, plant

log = logging.getLogger(__name__)

MAX_BYTES = 8 * 1024**3
"""Bytes of files that a store keeps by default."""

_LOW_WATER = 0.9
"""How full a collection leaves the store, so that the next put need not collect again."""


@dataclass
class Held:
    """What the store knows of one file, whole or not."""

    size: int = 0
    """Bytes that count towards the cap."""
    whole: bool = False
    """Whether every block is here, durably."""
    digests: list[bytes] = field(default_factory=list)
    """Of the blocks that the index finds in this file."""
    changed: str = ""
    """When the whole content was last written: `st_mtime_ns`."""
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one thread that completes the file."""
    came: Ranges | None = None
    """While the file is being completed: which of its bytes are here."""


class BlockStore:
    """The files and blocks of one vehicle. Thread-safe; one process at a time may open it."""

    def __init__(self, path: str | Path, max_bytes: int = MAX_BYTES) -> None:
        """Open a store, or make one. Raises `StorageError`.

        `max_bytes` bounds the files' bytes; when they would pass it, the files used longest ago
        that nobody pinned are dropped.
        """
        self.home = Path(path)
        self.mutex = threading.RLock()
        self.pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="store")
        self._roots = Marks(self.home / "roots")
        self._pins = Marks(self.home / "pins")
        self._max_bytes = max_bytes
        self._index = BlockIndex()
        self._held: dict[Cid, Held] = {}
        self._busy: Counter[Cid] = Counter()
        self._size = 0
        self._pending = 0  # bytes of files being put, which need room too
        self._serial = 0
        try:
            for name in ("files", "trees", "roots", "pins", "tmp"):
                (self.home / name).mkdir(parents=True, exist_ok=True)
            sync_folder(self.home)
            self._lock_file = (self.home / "lock").open("w")
        except OSError as error:
            raise StorageError(f"{path} cannot be a block store: {error}") from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock_file.close()
            raise StorageError(
                f"the block store {path} is open in another process; stop that one first, "
                "or give each vehicle a folder of its own"
            ) from error
        try:
            self._load()
        except OSError as error:
            self._lock_file.close()
            raise StorageError(f"the block store {path} cannot be read: {error}") from error

    @property
    def size(self) -> int:
        """Bytes of all files, their trees included."""
        return self._size

    def close(self) -> None:
        """Let another process open the store."""
        self.pool.shutdown()
        self._lock_file.close()

    # -- blocks

    def has_block(self, cid: Cid) -> bool:
        """Whether a block is here; its bytes are checked only when they are read."""
        return cid.digest in self._index

    def get(self, cid: Cid) -> bytes:
        """Read one block. Raises `NotFound`.

        A block whose bytes no longer match its CID is logged, forgotten and reported as not found;
        its file is no longer whole until the block was put or fetched again.
        """
        damaged = False
        for place in self._index.places(cid.digest):
            data = self._read(place)
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
        held = self._held.get(root)
        if held is None or not held.whole:
            return False
        if self._change_time(root) != held.changed:
            log.warning("stored file %s was changed from outside; it must be fetched again", root)
            self._lose(root)
            return False
        return True

    def covers(self, root: Cid, start: int, stop: int) -> bool:
        """Whether a file's bytes from `start` up to `stop` are here."""
        if self.has_file(root):
            return True
        held = self._held.get(root)
        return held is not None and held.came is not None and held.came.cover(start, stop)

    def coming(self, root: Cid) -> Ranges | None:
        """What is here of a file that is being completed; None for any other."""
        held = self._held.get(root)
        return None if held is None or held.whole else held.came

    def path(self, folder: str, root: Cid) -> Path:
        """Where the `files` or the `trees` part of a file is."""
        return self.home / folder / str(root)

    def put(self, read: Read, size: int, chunk_size: int) -> Cid:
        """Store a file of `size` bytes durably, over whatever was here of it.

        Raises `StorageError`.
        """
        check_chunk_size(chunk_size)
        with self.mutex:
            self._serial += 1
            content = self.home / "tmp" / str(self._serial)
            tree = content.with_suffix(".tree")
        with self._room(size, "a file"), _cleared(content, tree):
            with content.open("wb") as file:
                cids = copy_chunks(read, size, chunk_size, file.fileno(), self.pool)
                os.fsync(file.fileno())
            root, nodes = plant(cids, size, chunk_size)
            records = b"".join(record(node) for _, node in nodes)
            with self._room(len(records), "a file's tree"):
                if nodes:
                    with tree.open("wb") as file:
                        file.write(records)
                        file.flush()
                        os.fsync(file.fileno())
                with self.mutex:
                    self._publish(root, content, tree if nodes else None)
                    held = self._held[root] = Held(size + len(records))
                    self._size += held.size
                    self._index_file(root, held, size)
                    self._mark(root, held)
        return root

    def touch(self, root: Cid) -> None:
        """Note that a file was used, so that it is dropped later than others."""
        with self.mutex:
            if self.has_file(root):
                self._mark(root, self._held[root])

    def pin(self, root: Cid) -> None:
        """Keep a file for good, across restarts. Raises `NotFound` where it isn't wholly here."""
        with self.mutex:
            if not self.has_file(root):
                raise NotFound(f"{root} can't be pinned: it is not, or not wholly, in this store")
            self._pins.add(root)
            self._mark(root, self._held[root])

    def unpin(self, root: Cid) -> None:
        """Allow the collector to take a file."""
        with self.mutex:
            self._pins.remove(root)

    def pins(self) -> set[Cid]:
        """The files kept for good."""
        return set(self._pins.oldest_first())

    # -- files on their way in, for `incoming.py`

    @contextmanager
    def busy(self, root: Cid) -> Iterator[Held]:
        """Keep what is here of a file from collection; gives what the store knows of it."""
        with self.mutex:
            self._busy[root] += 1
            held = self._held.setdefault(root, Held())
            self.has_file(root)
        try:
            yield held
        finally:
            with self.mutex:
                self._busy[root] -= 1
                self._busy += Counter()  # forgets what is at zero
                came = self._busy[root] or held.size or held.whole
                if not came and self._held.get(root) is held:
                    self._unlist(root)
                    self._unlink(root)

    def add(self, cid: Cid, place: Place, held: Held) -> None:
        """Let a block that was just written be found."""
        with self.mutex:
            if self._held.get(place.root) is held:  # else a put has stored the whole file since
                self._list(cid, place, held)

    def take_room(self, root: Cid, held: Held, size: int) -> None:
        """Count `size` more bytes of a file, collecting where they need room; or fewer.

        Raises `StorageError` where the store is full.
        """
        with self.mutex:
            if self._held.get(root) is held:
                if size > 0:
                    self._make_room(size, root)
                held.size += size
                self._size += size

    def settle(self, root: Cid, held: Held) -> None:
        """Note that a file is whole and synced, its names in their folders too."""
        with self.mutex:
            self._mark(root, held)

    # -- space

    def collect(self, target: int) -> None:
        """Remove files until they take at most `target` bytes, or only kept ones are left.

        Unfinished files go first, then whole ones, each in the order of their last use. Pinned
        files, and those that are being added or read, stay.
        """
        with self.mutex:
            kept = self.pins() | self._busy.keys()
            unfinished = [root for root, held in self._held.items() if not held.whole]
            unfinished.sort(key=self._last_written)
            for root in (*unfinished, *self._roots.oldest_first()):
                if self._size <= target:
                    break
                if root not in kept:
                    self._drop(root)

    @contextmanager
    def _room(self, needed: int, what: str) -> Iterator[None]:
        """Reserve bytes for what is being written; explains a full disk."""
        with self.mutex:
            self._make_room(needed, what)
            self._pending += needed
        try:
            yield
        except OSError as error:
            raise write_error(what, error) from error
        finally:
            with self.mutex:
                self._pending -= needed

    def _make_room(self, needed: int, what: object) -> None:
        limit = self._max_bytes - self._pending - needed
        if self._size > limit:
            self.collect(max(0, int(limit * _LOW_WATER)))
        if self._size > limit:
            raise StorageError(
                f"the block store {self.home} is full: {self._size} of {self._max_bytes} bytes are "
                f"pinned or in use and {needed} more are needed for {what}; unpin files or raise "
                "its cap"
            )

    def _last_written(self, root: Cid) -> int:
        try:
            return self.path("files", root).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _drop(self, root: Cid) -> None:
        """Remove a file; the mark first, so that a kill in between leaves an unfinished one."""
        self._roots.remove(root)
        self._unlist(root)
        self._unlink(root)

    def _unlink(self, root: Cid) -> None:
        for folder in ("files", "trees"):
            self.path(folder, root).unlink(missing_ok=True)

    def _unlist(self, root: Cid) -> None:
        held = self._held.pop(root, Held())
        self._size -= held.size
        self._index.remove(held.digests, root)

    # -- disk

    def _load(self) -> None:
        for leftover in (self.home / "tmp").iterdir():
            leftover.unlink()
        whole = self._roots.notes()
        files, trees = (
            {root: entry.stat() for root, entry in Marks(self.home / folder).entries()}
            for folder in ("files", "trees")
        )
        for root, status in (*files.items(), *trees.items()):
            size = status.st_size
            if root not in whole:  # it has holes where chunks are missing
                size = min(size, status.st_blocks * 512)
            self._held.setdefault(root, Held()).size += size
        self._size = sum(held.size for held in self._held.values())
        for root, changed in whole.items():
            held = self._held.setdefault(root, Held())
            try:
                if root not in files:
                    raise NotFound("its content is gone")
                chunks = self._index_file(root, held, files[root].st_size)
                held.changed = str(files[root].st_mtime_ns)
                if held.changed != changed:
                    # Changed from outside, or a put over it was killed: its hashes tell.
                    self._verify(root, chunks)
                    self._roots.add(root, held.changed)
                held.whole = True
            except (StorageError, OSError) as error:
                log.warning(
                    "the stored file %s is damaged and must be fetched again: %s", root, error
                )
                self._lose(root)

    def _publish(self, root: Cid, content: Path, tree: Path | None) -> None:
        """Move a synced file to its name, durably."""
        self._unlist(root)
        if tree is not None:
            os.replace(tree, self.path("trees", root))
            sync_folder(self.home / "trees")
        os.replace(content, self.path("files", root))
        sync_folder(self.home / "files")

    def _mark(self, root: Cid, held: Held) -> None:
        """Note durably that a file is whole, and used now."""
        if not held.whole:
            held.changed = self._change_time(root)
            held.whole = True
        self._roots.add(root, held.changed)

    def _change_time(self, root: Cid) -> str:
        try:
            return str(self.path("files", root).stat().st_mtime_ns)
        except FileNotFoundError:
            return "never"

    def _lose(self, root: Cid) -> None:
        """Note that a file is no longer whole."""
        with self.mutex:
            self._roots.remove(root)
            self._held[root].whole = False

    def _verify(self, root: Cid, chunks: list[Chunk]) -> None:
        """Hash a file's content. Raises `InvalidFile`."""
        for chunk in chunks:
            data = self._read(Place(root, "files", chunk.offset, chunk.size))
            if data is None or not chunk.cid.matches(data):
                raise InvalidFile(f"chunk {chunk.cid} was changed from outside")

    def _index_file(self, root: Cid, held: Held, length: int) -> list[Chunk]:
        """Let every block of a whole file of `length` bytes be found; returns its chunks.

        Raises `StorageError` or `OSError`.
        """
        chunks, nodes = [Chunk(root, 0, length)], {}
        if root.codec != RAW:
            nodes = read_tree(self.path("trees", root))
            chunks = chunks_of(root, lambda cid: node_of(nodes, cid), length)
        if sum(chunk.size for chunk in chunks) != length:
            raise InvalidFile(f"it has {length} bytes on disk, not what its tree says")
        for cid, (offset, node) in nodes.items():
            self._list(cid, Place(root, "trees", offset, len(node)), held)
        for chunk in chunks:
            self._list(chunk.cid, Place(root, "files", chunk.offset, chunk.size), held)
        return chunks

    def _list(self, cid: Cid, place: Place, held: Held) -> None:
        if self._index.add(cid.digest, place):
            held.digests.append(cid.digest)

    def _read(self, place: Place) -> bytes | None:
        try:
            with self.path(place.folder, place.root).open("rb", buffering=0) as file:
                return os.pread(file.fileno(), place.size, place.offset)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"a block of {place.root} cannot be read: {error}") from error

    def _forget_damaged(self, cid: Cid, place: Place) -> None:
        with self.mutex:
            # Another thread may have mended the block, or dropped the file, in the meantime.
            places = self._index.places(cid.digest)
            data = self._read(place)
            if place not in places or (data is not None and cid.matches(data)):
                return
            self._index.remove([cid.digest], place.root)
            self._lose(place.root)
            log.warning("block %s of %s was damaged on disk; forgotten", cid, place.root)


def node_of(nodes: dict[Cid, tuple[int, bytes]], cid: Cid) -> bytes:
    """A node of a tree that was read from disk. Raises `NotFound`."""
    if cid not in nodes:
        raise NotFound(f"block {cid} is not in this store")
    return nodes[cid][1]


@contextmanager
def _cleared(*paths: Path) -> Iterator[None]:
    """Remove temporary files that were not moved elsewhere."""
    try:
        yield
    finally:
        for path in paths:
            path.unlink(missing_ok=True)
