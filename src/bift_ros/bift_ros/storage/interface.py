"""What every store offers to the rooms above."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol, TypeVar

from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.errors import NotFound, StorageError
from bift_ros.storage.traffic import Traffic

__all__ = ["GET_TIMEOUT", "NotFound", "Progress", "Storage", "StorageError", "ignore_progress"]

GET_TIMEOUT = 30.0
"""Seconds that a `get` may take by default."""

Progress = Callable[[int, int], object]
"""Told while a file comes, from any thread: bytes that are here, and in all (0: unknown yet)."""

StorageT = TypeVar("StorageT", bound="Storage")


def ignore_progress(here: int, size: int) -> None:
    """Progress that nobody wants to know of."""


class Backend(Protocol):
    """Where a store's files lie."""

    def has_file(self, root: Cid) -> bool:
        """Whether the whole file is here."""

    def pin(self, root: Cid) -> None:
        """Keep a file; `NotFound` if it isn't wholly here."""

    def unpin(self, root: Cid) -> None:
        """Let a file go when space is needed."""

    def discard(self, root: Cid) -> None:
        """Remove what is here of a file that nobody pinned, as soon as may be."""


@dataclass(frozen=True)
class FileRequest:
    """A file that is asked for, and what getting it may take."""

    root: Cid
    providers: Sequence[str]
    """Gateways of vehicles that may have it."""
    timeout: float
    """Seconds."""
    stalled: bool
    """Whether they are the longest without anything new, instead of the longest in all."""
    max_size: int
    """Of the file, in bytes."""
    on_progress: Progress = ignore_progress


class OpenFile(Protocol):
    """One file that is being got."""

    def read(self) -> bytes:
        """All of it."""

    def export(self, path: Path) -> None:
        """Let `path` be the file, in one step."""


class Storage(ABC):
    """Files by content: the CID names the bytes, so whoever sends them need not be trusted.

    Every method may be called from many threads at once, raises `CidError` (a `StorageError`)
    for a malformed CID and `StorageError` for whatever else goes wrong.
    """

    def __init__(self, files: Backend, chunk_size: int, max_file_size: int, max_bytes: int) -> None:
        """All are bytes: of the chunker, of one file in memory, of one file on disk."""
        self._files = files
        self._chunk_size = chunk_size
        self._max_file_size = max_file_size
        self._max_bytes = max_bytes

    @property
    @abstractmethod
    def url(self) -> str:
        """What announcements carry so that other vehicles find this store's files."""

    @property
    @abstractmethod
    def traffic(self) -> Traffic:
        """What was fetched and served; nothing where a daemon keeps count itself."""

    def put(self, data: bytes) -> str:
        """Store a file durably and return its CID; storing it again is harmless."""
        if len(data) > self._max_file_size:
            raise StorageError(
                f"{len(data)} bytes are more than {self._max_file_size}, a file's most"
            )
        return self._add_bytes(data)

    def put_file(self, path: Path) -> str:
        """Store a file of any size durably, in bounded memory, and return its CID."""
        try:
            with path.open("rb", buffering=0) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise StorageError(f"{path} cannot be shared: it is not a regular file")
                return self._add_file(file)
        except OSError as error:
            raise StorageError(f"{path} cannot be shared: {error.strerror}") from error

    def get(
        self,
        cid: str,
        providers: Sequence[str] = (),
        *,
        timeout: float = GET_TIMEOUT,
        largest: int | None = None,
    ) -> bytes:
        """Return the file's bytes, checked against its CID, from here or from a provider.

        Providers are base URLs such as `http://192.168.0.7:40123`; those that had to be skipped
        are logged. Raises `NotFound` when nobody had the whole file within `timeout` seconds, and
        `InvalidFile` for blocks that make no file. `put` and `get` hold the file in memory and are
        for models, so they refuse one over the store's `max_file_size`, and `get` one over
        `largest` bytes, where the caller knows how large the file can be.
        """
        most = _smaller(self._max_file_size, largest)
        request = FileRequest(Cid.parse(cid), providers, timeout, False, most)
        with self._open(request) as file:
            return file.read()

    def get_file(
        self,
        cid: str,
        path: Path,
        providers: Sequence[str] = (),
        *,
        timeout: float = GET_TIMEOUT,
        largest: int | None = None,
        on_progress: Progress = ignore_progress,
    ) -> None:
        """Write a file of up to `largest` bytes to `path`, checked, in bounded memory.

        `path` is replaced in one step, by a synced file, or holds what it held before. Blocks that
        came before a transfer broke off, in this process or an earlier one, are not fetched again.
        It fails when for `timeout` seconds nothing has come; raises like `get`. A file of any size
        that the store can hold is written where `largest` is None.
        """
        root, most = Cid.parse(cid), _smaller(self._max_bytes, largest)
        with self._open(FileRequest(root, providers, timeout, True, most, on_progress)) as file:
            file.export(path)

    def pin(self, cid: str) -> None:
        """Keep the file, across restarts, until it is unpinned; `NotFound` if it isn't here."""
        self._files.pin(Cid.parse(cid))

    def unpin(self, cid: str) -> None:
        """Let the file go when space is needed; harmless if it was not pinned."""
        self._files.unpin(Cid.parse(cid))

    def discard(self, cid: str) -> None:
        """Remove what is here of a file, whole or not; one that is pinned, or in use, stays."""
        self._files.discard(Cid.parse(cid))

    def has(self, cid: str) -> bool:
        """Whether the whole file is here, without asking any provider."""
        return self._files.has_file(Cid.parse(cid))

    @abstractmethod
    def close(self) -> None:
        """Stop serving and fetching; what still runs ends with a `StorageError`."""

    @abstractmethod
    def _open(self, request: FileRequest) -> AbstractContextManager[OpenFile]: ...

    @abstractmethod
    def _add_bytes(self, data: bytes) -> str: ...

    @abstractmethod
    def _add_file(self, file: FileIO) -> str: ...

    def __enter__(self: StorageT) -> StorageT:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _smaller(limit: int, largest: int | None) -> int:
    return limit if largest is None else min(limit, largest)
