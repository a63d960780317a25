"""Blocks on disk: durable, checked on every read, bounded in size.

    blocks/ab/ab12…     one file a block, named by the hex SHA-256 of its bytes
    roots/<cid>         empty; one for each file stored; its mtime is when it was last used
    pins/<cid>          empty; one for each file to be kept
    tmp/                blocks being written
    lock                held while the store is open

The file system is the only index, so there is none that could be torn: a block appears under its
name whole (written and synced under tmp/, then renamed) or not at all, and a root appears after
its last block. What a killed process leaves behind is blocks without a root, which the collector
takes first.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.dagpb import InvalidFile, decode_node
from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.marks import Marks, sync_folder
from bift_ros.storage.unixfs import levels

log = logging.getLogger(__name__)

MAX_BYTES = 8 * 1024**3
"""Bytes of blocks that a store keeps by default."""

_LOW_WATER = 0.9
"""How full a collection leaves the store, so that the next put need not collect again."""


class Batch:
    """Blocks being added that no collection may take; made by `BlockStore.batch`."""

    def __init__(self, store: BlockStore) -> None:
        self._store = store
        self._held: set[bytes] | None = set()
        self._folders: set[Path] = set()

    def put(self, cid: Cid, data: bytes | memoryview) -> None:
        """Write one block; `data` must be what `cid` names. Raises `StorageError`."""
        self._hold(cid)
        if self._store._write(cid, data):
            self._folders.add(self._store._path(cid).parent)

    def hold(self, cid: Cid) -> bool:
        """Keep a block that may be here already for this batch; False where it isn't here."""
        self._hold(cid)
        return self._store.has_block(cid)

    def commit(self, root: Cid) -> None:
        """Make the batch's blocks durable as one file."""
        for folder in self._folders:
            sync_folder(folder)
        self._store.touch(root)

    def _hold(self, cid: Cid) -> None:
        with self._store._mutex:
            if self._held is None:
                # A cancelled fetch's last write may still be under way in another thread.
                raise StorageError(f"block {cid} came after its batch had ended")
            if cid.digest not in self._held:
                self._held.add(cid.digest)
                self._store._held[cid.digest] += 1

    def _end(self) -> None:
        with self._store._mutex:
            self._store._held.subtract(self._held or ())
            self._store._held = +self._store._held
            self._held = None


class BlockStore:
    """The blocks of one vehicle. Thread-safe; one process at a time may open it."""

    def __init__(self, path: str | Path, max_bytes: int = MAX_BYTES) -> None:
        """Open a store, or make one. Raises `StorageError`.

        `max_bytes` bounds the blocks' bytes; when they would pass it, the files used longest ago
        that nobody pinned are dropped.
        """
        self._home = Path(path)
        self._roots = Marks(self._home / "roots")
        self._pins = Marks(self._home / "pins")
        self._max_bytes = max_bytes
        self._mutex = threading.RLock()
        self._held: Counter[bytes] = Counter()
        self._pending = 0  # bytes of blocks being written, which need room too
        self._serial = 0
        try:
            for name in ("blocks", "roots", "pins", "tmp"):
                (self._home / name).mkdir(parents=True, exist_ok=True)
            self._lock_file = (self._home / "lock").open("w")
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
            self._make_shards()
            for leftover in (self._home / "tmp").iterdir():
                leftover.unlink()
            self._size = sum(size for _, size in self._scan())
        except OSError as error:
            self._lock_file.close()
            raise StorageError(f"the block store {path} cannot be read: {error}") from error

    @property
    def size(self) -> int:
        """Bytes of all blocks."""
        return self._size

    def close(self) -> None:
        """Let another process open the store."""
        self._lock_file.close()

    # -- blocks

    def has_block(self, cid: Cid) -> bool:
        """Whether a block is here; its bytes are checked only when they are read."""
        return self._path(cid).exists()

    def get(self, cid: Cid) -> bytes:
        """Read one block. Raises `NotFound`.

        A block whose bytes no longer match its CID is logged, removed and reported as not found.
        """
        data = self._read(cid)
        if data is None:
            raise NotFound(f"block {cid} is not in this store")
        if not cid.matches(data):
            self._remove_damaged(cid)
            raise NotFound(f"block {cid} was damaged on disk and has been removed; fetch it again")
        return data

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Add the blocks of one file; they are safe from collection until the block ends."""
        batch = Batch(self)
        try:
            yield batch
        finally:
            batch._end()

    # -- files

    def has_file(self, root: Cid) -> bool:
        """Whether all blocks of a file are here."""
        try:
            for level in levels(root, self.get):
                if not all(self.has_block(part.cid) for part in level):
                    return False
        except (NotFound, InvalidFile):
            return False
        return True

    def touch(self, root: Cid) -> None:
        """Note that a file was used, so that it is dropped later than others."""
        with self._mutex:
            self._roots.add(root)

    def pin(self, root: Cid) -> None:
        """Keep a file for good, across restarts. Raises `NotFound` where it isn't wholly here."""
        with self._mutex:
            if not self.has_file(root):
                raise NotFound(f"{root} can't be pinned: it is not, or not wholly, in this store")
            self._pins.add(root)
            self._roots.add(root)

    def unpin(self, root: Cid) -> None:
        """Allow the collector to take a file."""
        with self._mutex:
            self._pins.remove(root)

    def pins(self) -> set[Cid]:
        """The files kept for good."""
        return set(self._pins.oldest_first())

    # -- space

    def collect(self, target: int) -> None:
        """Remove blocks until they take at most `target` bytes, or only kept ones are left.

        Blocks of no file go first, then files in the order of their last use. Blocks of a pinned
        file, or of one that is being added, stay.
        """
        with self._mutex:
            pinned = self.pins()
            unpinned = [root for root in self._roots.oldest_first() if root not in pinned]
            blocks = {root: self._reachable(root) for root in (*pinned, *unpinned)}
            users = Counter(self._held.keys())
            for digests in blocks.values():
                users.update(digests)
            present = dict(self._scan())
            self._size = sum(present.values())  # damage may have changed a file's length
            self._drop(digest for digest in present if not users[digest])
            for root in unpinned:
                if self._size <= target:
                    break
                self._roots.remove(root)
                users.subtract(blocks[root])
                self._drop(digest for digest in blocks[root] if not users[digest])

    def _reachable(self, root: Cid) -> set[bytes]:
        """Digests of a file's blocks as far as its nodes are here."""
        found = {root.digest}
        nodes = [] if root.codec == RAW else [root]
        while nodes:
            try:
                links = decode_node(self.get(nodes.pop()))
            except (NotFound, InvalidFile):
                continue
            new = {link.cid for link in links if link.cid.digest not in found}
            found.update(cid.digest for cid in new)
            nodes.extend(cid for cid in new if cid.codec != RAW)
        return found

    def _drop(self, digests: Iterable[bytes]) -> None:
        for digest in digests:
            path = self._file(digest)
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                continue
            self._size -= size

    # -- files on disk

    def _file(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._home / "blocks" / name[:2] / name

    def _path(self, cid: Cid) -> Path:
        return self._file(cid.digest)

    def _make_shards(self) -> None:
        blocks = self._home / "blocks"
        missing = {f"{shard:02x}" for shard in range(256)} - set(os.listdir(blocks))
        for name in missing:
            (blocks / name).mkdir(exist_ok=True)
        if missing:
            sync_folder(blocks)
            sync_folder(self._home)

    def _scan(self) -> Iterator[tuple[bytes, int]]:
        """Digest and size of every block; files of other names are left alone."""
        for shard in os.scandir(self._home / "blocks"):
            for entry in os.scandir(shard.path):
                try:
                    digest = bytes.fromhex(entry.name)
                except ValueError:
                    continue
                yield digest, entry.stat().st_size

    def _read(self, cid: Cid) -> bytes | None:
        try:
            return self._path(cid).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"block {cid} cannot be read: {error}") from error

    def _write(self, cid: Cid, data: bytes | memoryview) -> bool:
        """Write a block unless its very bytes are here; whether it was written."""
        if self._read(cid) == data:
            return False
        with self._mutex:
            self._serial += 1
            temporary = self._home / "tmp" / str(self._serial)
            self._make_room(len(data))
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            with self._mutex:
                path = self._path(cid)
                replaced = path.stat().st_size if path.exists() else 0
                os.replace(temporary, path)
                self._size += len(data) - replaced
                self._pending -= len(data)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            with self._mutex:
                self._pending -= len(data)
            hint = "; free some space" if error.errno == errno.ENOSPC else ""
            raise StorageError(f"block {cid} cannot be written: {error}{hint}") from error
        return True

    def _make_room(self, needed: int) -> None:
        """Reserve `needed` bytes, collecting first where they would pass the cap."""
        limit = self._max_bytes - self._pending - needed
        if self._size > limit:
            self.collect(max(0, int(limit * _LOW_WATER)))
        if self._size > limit:
            raise StorageError(
                f"the block store {self._home} is full: {self._size} of {self._max_bytes} bytes "
                f"are pinned or in use and {needed} more are needed; unpin files or raise its cap"
            )
        self._pending += needed

    def _remove_damaged(self, cid: Cid) -> None:
        with self._mutex:
            # Another thread may have mended the block in the meantime.
            data = self._read(cid)
            if data is not None and not cid.matches(data):
                self._drop([cid.digest])
                log.warning("block %s was damaged on disk (%d bytes); removed", cid, len(data))
