"""The store that needs no daemon: blocks on this vehicle's disk, others' over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from bift_ros.storage.blockstore import MAX_BYTES, BlockStore
from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.fetcher import Fetcher
from bift_ros.storage.gateway import Gateway
from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.unixfs import CHUNK_SIZE, MAX_FILE_SIZE, blocks_of, read_file

log = logging.getLogger(__name__)

GET_TIMEOUT = 30.0
"""Seconds that a `get` may take by default."""


class EmbeddedStorage:
    """A `Storage` of this process, which also serves its blocks to other vehicles.

    Files that were fetched are kept and served like those that were put. All methods are
    thread-safe and block; `get` may run in many threads at once.
    """

    def __init__(
        self,
        path: str | Path,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        advertised_host: str | None = None,
        chunk_size: int = CHUNK_SIZE,
        max_bytes: int = MAX_BYTES,
        max_file_size: int = MAX_FILE_SIZE,
    ) -> None:
        """Open the store under `path` and begin to serve on `host`, a free port where 0.

        `advertised_host` replaces `host` in `url`; `chunk_size`, `max_bytes` and `max_file_size`
        are bytes: of the chunker, of all blocks together, of one file. Raises `StorageError`.
        """
        self._chunk_size = chunk_size
        self._max_file_size = max_file_size
        self._blocks = BlockStore(path, max_bytes)
        try:
            self._gateway = Gateway(self._blocks, host, port, advertised_host)
            self._gateway.start()
        except StorageError:
            self._blocks.close()
            raise
        self._fetcher = Fetcher(self._blocks)

    @property
    def url(self) -> str:
        """Where other vehicles reach this store; what announcements carry as the provider."""
        return self._gateway.url

    def put(self, data: bytes) -> str:
        """Store a file durably and return its CID."""
        if len(data) > self._max_file_size:
            raise StorageError(
                f"{len(data)} bytes are more than {self._max_file_size}, a file's most"
            )
        with self._blocks.batch() as batch:
            for cid, block in blocks_of(data, self._chunk_size):
                batch.put(cid, block)
            batch.commit(cid)
        return str(cid)

    def get(
        self, cid: str, providers: Sequence[str] = (), *, timeout: float = GET_TIMEOUT
    ) -> bytes:
        """Return a file from this store or, within `timeout` seconds, from the providers.

        Providers that had to be skipped are logged. Raises `CidError`, `NotFound`, `InvalidFile`
        or another `StorageError`.
        """
        root = Cid.parse(cid)
        try:
            data = self._read(root)
        except NotFound:
            if not providers:
                raise
        else:
            self._blocks.touch(root)
            return data
        with self._blocks.batch() as batch:
            report = self._fetcher.fetch(root, providers, batch, timeout, self._max_file_size)
            data = self._read(root)
            batch.commit(root)
        for url, reason in report.skipped.items():
            log.warning("fetching %s: provider %s was skipped: %s", cid, url, reason)
        return data

    def pin(self, cid: str) -> None:
        """Keep a file until it is unpinned, across restarts; `NotFound` if it isn't here."""
        self._blocks.pin(Cid.parse(cid))

    def unpin(self, cid: str) -> None:
        """Let a file go when space is needed."""
        self._blocks.unpin(Cid.parse(cid))

    def has(self, cid: str) -> bool:
        """Whether the whole file is here."""
        return self._blocks.has_file(Cid.parse(cid))

    def close(self) -> None:
        """Stop serving and fetching, and let the store be opened elsewhere."""
        self._gateway.stop()
        self._fetcher.close()
        self._blocks.close()

    def __enter__(self) -> EmbeddedStorage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self, root: Cid) -> bytes:
        return read_file(root, self._blocks.get, self._max_file_size)
