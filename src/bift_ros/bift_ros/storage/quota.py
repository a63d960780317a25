"""How many bytes a store may take, and has taken; and how many files and blocks.

Each file takes some inodes, and each block a place in memory, however small it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from bift_ros.storage.catalog import Catalog
from bift_ros.storage.disk import write_error
from bift_ros.storage.errors import StorageError

SPARE_ENTRIES, SMALL_ENTRY = 65_536, 32_768
"""A small store's most files and places of blocks, and the bytes of a larger one for each beyond:
several times as many as its bytes hold of the default chunks. Each takes some 400 bytes of memory.
"""
_LOW_WATER = 0.9
"""How full a collection leaves the store, so that the next put need not collect again."""


class Quota:
    """Bytes used and reserved, under a bound; asks for a collection where they would pass it.

    `used` is changed by whoever holds the store's mutex.
    """

    def __init__(
        self,
        home: Path,
        max_bytes: int,
        mutex: RLock,
        catalog: Catalog,
        collect: Callable[[int, int], None],
    ) -> None:
        """`catalog` counts files and places of blocks.

        `collect` removes files until `used` and those are at most its arguments, as far as it can.
        """
        self._home = home
        self._max_bytes = max_bytes
        self._max_entries = SPARE_ENTRIES + max_bytes // SMALL_ENTRY
        self._mutex = mutex
        self._catalog = catalog
        self._collect = collect
        self._reserved = self._reserved_entries = 0  # of files being put
        self.used = 0

    def require(self, needed: int, entries: int, what: object) -> None:
        """Collect so that so many more bytes and entries fit. Raises `StorageError` where not."""
        with self._mutex:
            limit = self._max_bytes - self._reserved - needed
            most = self._max_entries - self._reserved_entries - entries
            if self.used > limit or self._catalog.entries > most:
                self._collect(max(0, int(limit * _LOW_WATER)), max(0, int(most * _LOW_WATER)))
            full = f"the block store {self._home} is full"
            advice = f"more are needed for {what}; unpin files or raise its cap"
            if self.used > limit:
                of = f"{self.used} of {self._max_bytes} bytes are pinned or in use"
                raise StorageError(f"{full}: {of} and {needed} {advice}")
            if self._catalog.entries > most:
                of = f"{self._catalog.entries} of {self._max_entries} files and blocks are pinned"
                raise StorageError(f"{full}: {of} and {entries} {advice}")

    @contextmanager
    def reserved(self, needed: int, entries: int, what: str) -> Iterator[None]:
        """Keep bytes and entries free for what is being written; explains a full disk.

        Raises `StorageError`.
        """
        with self._mutex:
            self.require(needed, entries, what)
            self._reserved += needed
            self._reserved_entries += entries
        try:
            yield
        except OSError as error:
            raise write_error(what, error) from error
        finally:
            with self._mutex:
                self._reserved -= needed
                self._reserved_entries -= entries
