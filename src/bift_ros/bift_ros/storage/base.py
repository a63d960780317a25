"""What the stores have in common: what they take, and the files that they keep."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from io import FileIO
from pathlib import Path
from typing import Protocol, TypeVar

from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.interface import StorageError

GET_TIMEOUT = 30.0
"""Seconds that a `get` may take by default."""

Self = TypeVar("Self", bound="BaseStorage")


class KeptFiles(Protocol):
    """Where a store's files lie."""

    def has_file(self, root: Cid) -> bool:
        """Whether the whole file is here."""

    def pin(self, root: Cid) -> None:
        """Keep a file; `NotFound` if it isn't wholly here."""

    def unpin(self, root: Cid) -> None:
        """Let a file go when space is needed."""


class BaseStorage(ABC):
    """A `Storage` but for getting files; all methods are as described there."""

    def __init__(self, files: KeptFiles, chunk_size: int, max_file_size: int) -> None:
        """`chunk_size` and `max_file_size` are bytes: of the chunker, of one file in memory."""
        self._files = files
        self._chunk_size = chunk_size
        self._max_file_size = max_file_size

    def put(self, data: bytes) -> str:
        """Store a file durably and return its CID."""
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

    def pin(self, cid: str) -> None:
        """Keep a file until it is unpinned, across restarts; `NotFound` if it isn't here."""
        self._files.pin(Cid.parse(cid))

    def unpin(self, cid: str) -> None:
        """Let a file go when space is needed."""
        self._files.unpin(Cid.parse(cid))

    def has(self, cid: str) -> bool:
        """Whether the whole file is here."""
        return self._files.has_file(Cid.parse(cid))

    @abstractmethod
    def close(self) -> None:
        """Stop serving and fetching."""

    @abstractmethod
    def _add_bytes(self, data: bytes) -> str: ...

    @abstractmethod
    def _add_file(self, file: FileIO) -> str: ...

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
