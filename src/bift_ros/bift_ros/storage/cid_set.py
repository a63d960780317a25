"""Sets of files by CID on disk: one small file for each."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bift_ros.storage.cidv1 import Cid, CidError
from bift_ros.storage.disk import sync_folder

log = logging.getLogger(__name__)


class CidSet:
    """A durable set of CIDs that remembers when each was last added."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, cid: Cid, note: str = "") -> None:
        """Add a CID with a note, or note that it was added again; durable on return.

        A kill may leave an empty note, never half of one that is shorter than a disk's sector.
        """
        path = self._folder / str(cid)
        if self.note(cid) != note:
            with path.open("w") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self._folder)
        now = time.time_ns()  # finer than the clock that the kernel stamps files with
        os.utime(path, ns=(now, now))

    def note(self, cid: Cid) -> str | None:
        """What was noted with a CID; None where it isn't there."""
        try:
            return (self._folder / str(cid)).read_text()
        except FileNotFoundError:
            return None

    def notes(self) -> dict[Cid, str]:
        """Every CID with its note."""
        found = {}
        for cid, entry in self.entries():
            with open(entry.path, "rb", buffering=0) as file:
                found[cid] = file.read().decode(errors="replace")
        return found

    def remove(self, cid: Cid) -> None:
        """Remove a CID if it is there; durable on return."""
        (self._folder / str(cid)).unlink(missing_ok=True)
        sync_folder(self._folder)

    def oldest_first(self) -> list[Cid]:
        """Every CID in the order of when it was last added."""
        found = [(entry.stat().st_mtime_ns, cid) for cid, entry in self.entries()]
        return [cid for _, cid in sorted(found, key=lambda entry: entry[0])]

    def entries(self) -> Iterator[tuple[Cid, os.DirEntry[str]]]:
        """Every CID with its file; files of other names are left alone."""
        for entry in os.scandir(self._folder):
            try:
                yield Cid.parse(entry.name), entry
            except CidError:
                log.warning("%s is no CID and is left alone", entry.path)
