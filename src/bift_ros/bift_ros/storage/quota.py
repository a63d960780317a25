"""How many bytes a store may take, and has taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from bift_ros.storage.disk import write_error
from bift_ros.storage.errors import StorageError

_LOW_WATER = 0.9
"""How full a collection leaves the store, so that the next put need not collect again."""


class Quota:
    """Bytes used and reserved, under a bound; asks for a collection where they would pass it.

    Changes are made by whoever holds the store's mutex.
    """

    def __init__(
        self, home: Path, max_bytes: int, mutex: RLock, collect: Callable[[int], None]
    ) -> None:
        """`collect` removes files until `used` is at most its argument, as far as it can."""
        self._home = home
        self._max_bytes = max_bytes
        self._mutex = mutex
        self._collect = collect
        self._reserved = 0  # of files being put
        self.used = 0

    def require(self, needed: int, what: object) -> None:
        """Collect so that `needed` more bytes fit. Raises `StorageError` where they don't."""
        limit = self._max_bytes - self._reserved - needed
        if self.used > limit:
            self._collect(max(0, int(limit * _LOW_WATER)))
        if self.used > limit:
            raise StorageError(
                f"the block store {self._home} is full: {self.used} of {self._max_bytes} bytes are "
                f"pinned or in use and {needed} more are needed for {what}; unpin files or raise "
                "its cap"
            )

    @contextmanager
    def reserved(self, needed: int, what: str) -> Iterator[None]:
        """Keep bytes free for what is being written; explains a full disk.

        Raises `StorageError`.
        """
        with self._mutex:
            self.require(needed, what)
            self._reserved += needed
        try:
            yield
        except OSError as error:
            raise write_error(what, error) from error
        finally:
            with self._mutex:
                self._reserved -= needed
