"""The store that needs no daemon: blocks on this vehicle's disk, others' over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from bift_ros.storage.blockstore import MAX_BYTES, BlockStore
from bift_ros.storage.chunker import Buffer
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.errors import NotFound, StorageError
from bift_ros.storage.fetch import Fetch
from bift_ros.storage.fetcher import Fetcher
from bift_ros.storage.gateway import Gateway
from bift_ros.storage.interface import GET_TIMEOUT, Progress, Storage, ignore_progress
from bift_ros.storage.partial_file import PartialFile, completing
from bift_ros.storage.provider import Piece
from bift_ros.storage.traffic import Traffic
from bift_ros.storage.unixfs import CHUNK_SIZE, MAX_FILE_SIZE, Chunk, levels, placed


class EmbeddedStorage(Storage):
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
        self._max_bytes = max_bytes
        self._blocks = BlockStore(path, max_bytes)
        super().__init__(self._blocks, chunk_size, max_file_size)
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

    def get(
        self, cid: str, providers: Sequence[str] = (), *, timeout: float = GET_TIMEOUT
    ) -> bytes:
        """Return a file from this store or from the providers."""
        with self._complete(cid, providers, timeout, False, self._max_file_size) as partial:
            return partial.read()

    def get_file(
        self,
        cid: str,
        path: Path,
        providers: Sequence[str] = (),
        *,
        timeout: float = GET_TIMEOUT,
        on_progress: Progress = ignore_progress,
    ) -> None:
        """Let `path` be a file of any size, from this store or from the providers.

        `path` is replaced in one step, by a synced file; where it can it shares its disk space with
        the store (`PartialFile.export`).
        """
        complete = self._complete(cid, providers, timeout, True, self._max_bytes, on_progress)
        with complete as partial:
            partial.export(path)

    def close(self) -> None:
        """Stop serving and fetching, and let the store be opened elsewhere."""
        self._gateway.stop()
        self._fetcher.close()
        self._blocks.close()

    def _add_bytes(self, data: bytes) -> str:
        view = memoryview(data)
        return str(self._blocks.put(lambda at, n: view[at : at + n], len(data), self._chunk_size))

    def _add_file(self, file: FileIO) -> str:
        size = os.fstat(file.fileno()).st_size
        root = self._blocks.put(
            lambda at, n: os.pread(file.fileno(), n, at), size, self._chunk_size
        )
        return str(root)

    @contextmanager
    def _complete(
        self,
        cid: str,
        providers: Sequence[str],
        timeout: float,
        stalled: bool,
        max_size: int,
        on_progress: Progress = ignore_progress,
    ) -> Iterator[PartialFile]:
        """Bring the blocks of a file that are not here; gives the whole and checked file."""
        root = Cid.parse(cid)
        with (
            completing(self._blocks, root, timeout) as partial,
            self._fetcher.fetch(root, providers, timeout, stalled=stalled) as fetch,
        ):
            if root.codec == RAW:
                _bring_block(self._blocks, root, partial, fetch, max_size)
            else:
                _bring_tree(root, partial, fetch, max_size, on_progress)
            partial.finish()
            on_progress(partial.size, partial.size)
            yield partial


def _bring_tree(
    root: Cid, partial: PartialFile, fetch: Fetch, max_size: int, on_progress: Progress
) -> None:
    for level in levels(root, partial.node, max_size):
        if level[0].cid.codec == DAG_PB:
            missing = {part.cid for part in level if not partial.has_node(part.cid)}
            nodes = [Piece(cid) for cid in missing]
            fetch.get(nodes, lambda node, data: partial.add_node(node.cid, data))

    def deliver(piece: Piece, data: Buffer) -> None:
        assert piece.offset is not None
        if len(data) != piece.size:
            raise InvalidFile(f"chunk {piece.cid} has {len(data)} bytes where {piece.size} fit")
        partial.write(Chunk(piece.cid, piece.offset, len(data)), data)
        on_progress(partial.here, partial.size)

    chunks = [Piece(*chunk) for chunk in partial.lay_out(placed(level))]
    on_progress(partial.here, partial.size)
    fetch.get(chunks, deliver)


def _bring_block(
    store: BlockStore, root: Cid, partial: PartialFile, fetch: Fetch, max_size: int
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
    for chunk in partial.lay_out([Chunk(root, 0, size)]):
        partial.write(chunk, came[0])
