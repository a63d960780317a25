"""The store that needs no daemon: blocks on this vehicle's disk, others' over HTTP."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from bift_ros.storage.blockstore import MAX_BYTES, BlockStore
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.copying import Buffer
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.fetcher import Fetch, Fetcher
from bift_ros.storage.gateway import Gateway
from bift_ros.storage.incoming import Incoming, incoming
from bift_ros.storage.interface import NotFound, Progress, StorageError, untold
from bift_ros.storage.sources import Piece
from bift_ros.storage.traffic import Traffic
from bift_ros.storage.unixfs import CHUNK_SIZE, MAX_FILE_SIZE, Chunk, levels, placed

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
        self._max_bytes = max_bytes
        self._blocks = BlockStore(path, max_bytes)
        try:
            self._gateway = Gateway(self._blocks, host, port, advertised_host)
            self._gateway.start()
        except StorageError:
            self._blocks.close()
            raise
        self._fetcher = Fetcher()

    @property
    def url(self) -> str:
        """Where other vehicles reach this store; what announcements carry as the provider."""
        return self._gateway.url

    @property
    def traffic(self) -> Traffic:
        """Bytes of blocks fetched from others, and served."""
        return Traffic(self._fetcher.fetched.total, self._gateway.served.total)

    def put(self, data: bytes) -> str:
        """Store a file durably and return its CID."""
        if len(data) > self._max_file_size:
            raise StorageError(
                f"{len(data)} bytes are more than {self._max_file_size}, a file's most"
            )
        view = memoryview(data)
        read = lambda offset, size: view[offset : offset + size]  # noqa: E731
        return str(self._blocks.put(read, len(data), self._chunk_size))

    def put_file(self, path: Path) -> str:
        """Store a file of any size durably, in bounded memory, and return its CID."""
        try:
            with path.open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise StorageError(f"{path} cannot be shared: it is not a regular file")
                read = lambda offset, size: os.pread(file.fileno(), size, offset)  # noqa: E731
                return str(self._blocks.put(read, status.st_size, self._chunk_size))
        except OSError as error:
            raise StorageError(f"{path} cannot be shared: {error.strerror}") from error

    def get(
        self, cid: str, providers: Sequence[str] = (), *, timeout: float = GET_TIMEOUT
    ) -> bytes:
        """Return a file from this store or, within `timeout` seconds, from the providers.

        Providers that had to be skipped are logged. Raises `CidError`, `NotFound`, `InvalidFile`
        or another `StorageError`.
        """
        with self._complete(cid, providers, timeout, False, self._max_file_size) as coming:
            return coming.read()

    def get_file(
        self,
        cid: str,
        path: Path,
        providers: Sequence[str] = (),
        *,
        timeout: float = GET_TIMEOUT,
        on_progress: Progress = untold,
    ) -> None:
        """Let `path` be a file of any size, from this store or from the providers.

        It fails when for `timeout` seconds no block has come. `path` is replaced in one step, by
        a synced file; where it can it shares its disk space with the store (`Incoming.give`).
        Raises like `get`.
        """
        complete = self._complete(cid, providers, timeout, True, self._max_bytes, on_progress)
        with complete as coming:
            coming.give(path)

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

    @contextmanager
    def _complete(
        self,
        cid: str,
        providers: Sequence[str],
        timeout: float,
        stalled: bool,
        max_size: int,
        on_progress: Progress = untold,
    ) -> Iterator[Incoming]:
        """Bring the blocks of a file that are not here; gives the whole and checked file."""
        root = Cid.parse(cid)
        with (
            incoming(self._blocks, root, timeout) as coming,
            self._fetcher.fetch(root, providers, timeout, stalled=stalled) as fetch,
        ):
            if root.codec == RAW:
                _bring_block(self._blocks, root, coming, fetch, max_size)
            else:
                _bring_tree(root, coming, fetch, max_size, on_progress)
            coming.finish()
            on_progress(coming.size, coming.size)
            for url, reason in fetch.report().skipped.items():
                log.warning("fetching %s: provider %s was skipped: %s", root, url, reason)
            yield coming


def _bring_tree(
    root: Cid, coming: Incoming, fetch: Fetch, max_size: int, on_progress: Progress
) -> None:
    for level in levels(root, coming.node, max_size):
        if level[0].cid.codec == DAG_PB:
            nodes = {part.cid for part in level if not coming.has_node(part.cid)}
            fetch.get([Piece(node) for node in nodes], lambda p, data: coming.add_node(p.cid, data))

    def deliver(piece: Piece, data: Buffer) -> None:
        assert piece.offset is not None
        if len(data) != piece.size:
            raise InvalidFile(f"chunk {piece.cid} has {len(data)} bytes where {piece.size} fit")
        coming.write(Chunk(piece.cid, piece.offset, len(data)), data)
        on_progress(coming.here, coming.size)

    missing = coming.lay_out(placed(level))
    on_progress(coming.here, coming.size)
    fetch.get([Piece(*chunk) for chunk in missing], deliver)


def _bring_block(
    store: BlockStore, root: Cid, coming: Incoming, fetch: Fetch, max_size: int
) -> None:
    """A file of one chunk: its size is known only once it is here."""
    came: list[bytes] = []
    try:
        came.append(store.get(root))
    except NotFound:
        fetch.get([Piece(root)], lambda _, data: came.append(bytes(data)))
    size = len(came[0])
    if size > max_size:
        raise InvalidFile(f"{root} is a file of {size} bytes where {max_size} are allowed")
    for chunk in coming.lay_out([Chunk(root, 0, size)]):
        coming.write(chunk, came[0])
