"""Sets of files by CID on disk: one empty file for each, so that no entry can be half-written."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bift_ros.storage.cidv1 import Cid, CidError

log = logging.getLogger(__name__)


class Marks:
    """A durable set of CIDs that remembers when each was last added."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, cid: Cid) -> None:
        """Add a CID, or note that it was added again; durable on return."""
        path = self._folder / str(cid)
        if not path.exists():
            path.touch()
            sync_folder(self._folder)
        now = time.time_ns()  # finer than the clock that the kernel stamps files with
        os.utime(path, ns=(now, now))

    def remove(self, cid: Cid) -> None:
        """Remove a CID if it is there; durable on return."""
        (self._folder / str(cid)).unlink(missing_ok=True)
        sync_folder(self._folder)

    def oldest_first(self) -> list[Cid]:
        """Every CID in the order of when it was last added."""
        found = [(entry.stat().st_mtime_ns, cid) for cid, entry in self.entries()]
        return [cid for _, cid in sorted(found, key=lambda mark: mark[0])]

    def entries(self) -> Iterator[tuple[Cid, os.DirEntry[str]]]:
        """Every CID with its file; files of other names are left alone."""
        for entry in os.scandir(self._folder):
            try:
                yield Cid.parse(entry.name), entry
            except CidError:
                log.warning("%s is no CID and is left alone", entry.path)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
