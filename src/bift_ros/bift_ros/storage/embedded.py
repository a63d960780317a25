"""The store that needs no daemon: blocks on this vehicle's disk, others' over HTTP."""

from __future__ import annotations

import logging
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from bift_ros.storage.blockstore import MAX_BYTES, BlockStore, write_error
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.copying import write_at
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.fetcher import Fetch, Fetcher
from bift_ros.storage.gateway import Gateway
from bift_ros.storage.incoming import Incoming, Sink, incoming
from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.marks import sync_folder
from bift_ros.storage.sources import Piece
from bift_ros.storage.unixfs import CHUNK_SIZE, MAX_FILE_SIZE, Chunk, chunks_of, levels

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
        data = bytearray()

        def prepare(size: int) -> Sink:
            data.extend(bytes(size))
            return lambda offset, piece: data.__setitem__(slice(offset, offset + len(piece)), piece)

        self._bring(Cid.parse(cid), providers, prepare, timeout, False, self._max_file_size)
        return bytes(data)

    def get_file(
        self,
        cid: str,
        path: Path,
        providers: Sequence[str] = (),
        *,
        timeout: float = GET_TIMEOUT,
    ) -> None:
        """Write a file of any size to `path`, from this store or from the providers.

        It fails when for `timeout` seconds no block has come. `path` is replaced in one step, by
        a synced file. Raises like `get`.
        """
        root = Cid.parse(cid)
        with _replacing(path) as target:
            self._bring(
                root,
                providers,
                lambda size: lambda offset, piece: write_at(target, piece, offset),
                timeout,
                True,
                self._max_bytes,
            )

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

    def _bring(
        self,
        root: Cid,
        providers: Sequence[str],
        prepare: Callable[[int], Sink],
        timeout: float,
        stalled: bool,
        max_size: int,
    ) -> None:
        """Complete a file in the store, and give every byte of it to the sink that `prepare`
        makes once the size is known.
        """
        with (
            incoming(self._blocks, root, timeout) as coming,
            self._fetcher.fetch(root, providers, timeout, stalled=stalled) as fetch,
        ):
            if root.codec == RAW:
                _complete_block(self._blocks, root, coming, fetch, prepare, max_size)
            else:
                _complete_tree(root, coming, fetch, prepare, max_size)
            coming.finish()
            report = fetch.report()
        for url, reason in report.skipped.items():
            log.warning("fetching %s: provider %s was skipped: %s", root, url, reason)


def _complete_tree(
    root: Cid,
    coming: Incoming,
    fetch: Fetch,
    prepare: Callable[[int], Sink],
    max_size: int,
) -> None:
    for level in levels(root, coming.node, max_size):
        if level[0].cid.codec == DAG_PB:
            nodes = {part.cid for part in level if not coming.has_node(part.cid)}
            if nodes:
                fetch.get(
                    [Piece(cid) for cid in nodes], lambda p, data: coming.add_node(p.cid, data)
                )
    chunks = chunks_of(root, coming.node, max_size)
    sink = prepare(chunks[-1].offset + chunks[-1].size)
    missing = coming.lay_out(chunks, sink)

    def deliver(piece: Piece, data: memoryview) -> None:
        assert piece.offset is not None
        if len(data) != piece.size:
            raise InvalidFile(f"chunk {piece.cid} has {len(data)} bytes where {piece.size} fit")
        sink(piece.offset, data)
        coming.write(Chunk(piece.cid, piece.offset, len(data)), data)

    if missing:
        fetch.get([Piece(*chunk) for chunk in missing], deliver)


def _complete_block(
    store: BlockStore,
    root: Cid,
    coming: Incoming,
    fetch: Fetch,
    prepare: Callable[[int], Sink],
    max_size: int,
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
    sink = prepare(size)
    for chunk in coming.lay_out([Chunk(root, 0, size)], sink):
        sink(0, came[0])
        coming.write(chunk, came[0])


@contextmanager
def _replacing(path: Path) -> Iterator[int]:
    """Write a file beside `path` and, once it is whole and synced, move it there."""
    path = Path(os.path.abspath(path))
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}")
    try:
        target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            yield target
            os.fsync(target)
        finally:
            os.close(target)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise write_error(str(path), error) from error
    finally:
        temporary.unlink(missing_ok=True)
