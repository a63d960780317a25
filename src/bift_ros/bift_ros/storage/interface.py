"""What every store offers to the rooms above."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from bift_ros.storage.traffic import Traffic

Progress = Callable[[int, int], object]
"""Told while a file comes, from any thread: bytes that are here, and in all (0: unknown yet)."""


def untold(here: int, size: int) -> None:
    """Progress that nobody wants to know of."""


class StorageError(Exception):
    """A file could not be stored or had; the message says which, why and what helps."""


class NotFound(StorageError):  # noqa: N818 - the name the interface promises
    """The file is neither here nor at any of the providers that were asked."""


class Storage(Protocol):
    """Files by content: the CID names the bytes, so whoever sends them need not be trusted.

    Every method may be called from many threads at once, raises `CidError` (a `StorageError`)
    for a malformed CID and `StorageError` for whatever else goes wrong.
    """

    @property
    def url(self) -> str:
        """What announcements carry so that other vehicles find this store's files."""
        ...

    @property
    def traffic(self) -> Traffic:
        """What was fetched and served; nothing where a daemon keeps count itself."""
        ...

    def put(self, data: bytes) -> str:
        """Store a file durably and return its CID; storing it again is harmless."""
        ...

    def get(self, cid: str, providers: Sequence[str] = ()) -> bytes:
        """Return the file's bytes, checked against its CID, from here or from a provider.

        Providers are base URLs such as `http://192.168.0.7:40123`. Raises `NotFound` when nobody
        had the whole file in time. `put` and `get` hold the file in memory and are for models, so
        they refuse one over the store's `max_file_size`.
        """
        ...

    def put_file(self, path: Path) -> str:
        """Store a file of any size durably, in bounded memory, and return its CID."""
        ...

    def get_file(
        self,
        cid: str,
        path: Path,
        providers: Sequence[str] = (),
        *,
        on_progress: Progress = untold,
    ) -> None:
        """Write a file of any size to `path`, checked against its CID, in bounded memory.

        `path` holds the whole file or what it held before. Blocks that came before a transfer broke
        off, in this process or an earlier one, are not fetched again. Raises like `get`.
        """
        ...

    def pin(self, cid: str) -> None:
        """Keep the file, across restarts, until it is unpinned; `NotFound` if it isn't here."""
        ...

    def unpin(self, cid: str) -> None:
        """Let the file go when space is needed; harmless if it was not pinned."""
        ...

    def has(self, cid: str) -> bool:
        """Whether the whole file is here, without asking any provider."""
        ...

    def close(self) -> None:
        """Stop serving and fetching; what still runs ends with a `StorageError`."""
        ...
