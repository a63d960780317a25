"""A block store's folder on disk, and what makes a file in it durable.

    files/<cid>     the file's own bytes: its chunks one after the other
    trees/<cid>     its inner nodes, where it has more than one chunk (`node_log.py`)
    roots/<cid>     the file is whole and durable; holds the time of its last change, lest
                    somebody changes it in place; its own mtime is when it was last used
    pins/<cid>      empty; one for each file to be kept
    tmp/            files being put, whose CID isn't known yet
    lock            held while the store is open

A root appears only once all that it stands for is synced. What a killed process leaves behind is a
file without a root.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bift_ros.storage.catalog import Place
from bift_ros.storage.cid_set import CidSet
from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.disk import sync_folder
from bift_ros.storage.errors import StorageError


class StoreFolder:
    """The folder of one store; one process at a time may open it."""

    def __init__(self, home: Path) -> None:
        """Open the folder, or make it. Raises `StorageError`."""
        self.home = home
        self.roots = CidSet(home / "roots")
        self.pins = CidSet(home / "pins")
        self._serial = count(1)
        try:
            for name in ("files", "trees", "roots", "pins", "tmp"):
                (home / name).mkdir(parents=True, exist_ok=True)
            sync_folder(home)
            self._lock_file = (home / "lock").open("w")
        except OSError as error:
            raise StorageError(f"{home} cannot be a block store: {error}") from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock_file.close()
            raise StorageError(
                f"the block store {home} is open in another process; stop that one first, "
                "or give each vehicle a folder of its own"
            ) from error

    def close(self) -> None:
        """Let another process open it."""
        self._lock_file.close()

    def path(self, folder: str, root: Cid) -> Path:
        """Where the `files` or the `trees` part of a file is."""
        return self.home / folder / str(root)

    def statuses(self, folder: str) -> dict[Cid, os.stat_result]:
        """The sizes and times of what is in `files` or `trees`."""
        return {root: entry.stat() for root, entry in CidSet(self.home / folder).entries()}

    def clear_temporary(self) -> None:
        """Remove what a killed process was putting."""
        for leftover in (self.home / "tmp").iterdir():
            leftover.unlink()

    @contextmanager
    def temporary(self) -> Iterator[tuple[Path, Path]]:
        """Paths for the content and the tree of a file that is put; removed unless moved away."""
        content = self.home / "tmp" / str(next(self._serial))
        tree = content.with_suffix(".tree")
        try:
            yield content, tree
        finally:
            content.unlink(missing_ok=True)
            tree.unlink(missing_ok=True)

    def publish(self, root: Cid, content: Path, tree: Path) -> None:
        """Move a synced file to its name, durably, with its tree where it has one."""
        if tree.exists():
            os.replace(tree, self.path("trees", root))
            sync_folder(self.home / "trees")
        os.replace(content, self.path("files", root))
        sync_folder(self.home / "files")

    def remove(self, root: Cid) -> None:
        """Remove what is here of a file."""
        for folder in ("files", "trees"):
            self.path(folder, root).unlink(missing_ok=True)

    def change_time(self, root: Cid) -> int:
        """When a file's content was last written, in nanoseconds; -1 where it isn't there."""
        try:
            return self.path("files", root).stat().st_mtime_ns
        except FileNotFoundError:
            return -1

    def read(self, place: Place) -> bytes | None:
        """A block's bytes, unchecked; None where its file is gone. Raises `StorageError`."""
        try:
            with self.path(place.folder, place.root).open("rb", buffering=0) as file:
                return os.pread(file.fileno(), place.size, place.offset)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"a block of {place.root} cannot be read: {error}") from error
