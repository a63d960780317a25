"""The store that needs no daemon: blocks on this vehicle's disk, others' over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from bift_ros.storage.blockstore import MAX_BYTES, BlockStore
from bift_ros.storage.chunker import Buffer
from bift_ros.storage.cidv1 import RAW
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.errors import NotFound, StorageError
from bift_ros.storage.fetch import Fetch
from bift_ros.storage.fetcher import Fetcher
from bift_ros.storage.gateway import Gateway
from bift_ros.storage.interface import FileRequest, Storage
from bift_ros.storage.networks import ORDINARY, Networks
from bift_ros.storage.partial_file import PartialFile, completing
from bift_ros.storage.provider import Piece
from bift_ros.storage.traffic import Traffic
from bift_ros.storage.unixfs import CHUNK_SIZE, MAX_FILE_SIZE, Chunk, Level, levels, placed


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
        networks: Networks = ORDINARY,
        chunk_size: int = CHUNK_SIZE,
        max_bytes: int = MAX_BYTES,
        max_file_size: int = MAX_FILE_SIZE,
    ) -> None:
        """Open the store under `path` and begin to serve on `host`, a free port where 0.

        `advertised_host` replaces `host` in `url`; `networks` are what may be fetched from,
        and loopback where `url` is there; `chunk_size`, `max_bytes` and `max_file_size` are bytes:
        of the chunker, of all blocks together, of one file. Raises `StorageError`.
        """
        self._blocks = BlockStore(path, max_bytes)
        super().__init__(self._blocks, chunk_size, max_file_size, max_bytes)
        try:
            self._gateway = Gateway(self._blocks, host, port, advertised_host)
            self._fetcher = Fetcher(networks.seen_from(self.url))
            self._gateway.start(self._fetcher.members)
        except StorageError:
            self._blocks.close()
            raise

    @property
    def url(self) -> str:
        """Where other vehicles reach this store; what announcements carry as the provider."""
        return self._gateway.url

    @property
    def traffic(self) -> Traffic:
        """Bytes of blocks fetched from others, and served."""
        return Traffic(self._fetcher.fetched.total, self._gateway.served.total)

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
    def _open(self, request: FileRequest) -> Iterator[PartialFile]:
        with (
            completing(self._blocks, request.root, request.timeout) as partial,
            self._fetcher.fetch(request) as fetch,
        ):
            if request.root.codec == RAW:
                _bring_block(self._blocks, request, partial, fetch)
            else:
                _bring_tree(request, partial, fetch)
            partial.finish()
            request.on_progress(partial.size, partial.size)
            yield partial


def _bring_tree(request: FileRequest, partial: PartialFile, fetch: Fetch) -> None:
    for level in levels(request.root, partial.node, request.max_size):

        def keep(piece: Piece, data: Buffer, level: Level = level) -> None:
            level.judge(piece.cid, data)
            partial.add_node(piece.cid, data)

        missing = []
        for piece in map(Piece, level.nodes):
            if not partial.has_node(piece.cid):
                try:
                    keep(piece, partial.node(piece.cid))
                except NotFound:
                    missing.append(piece)
        fetch.get(missing, keep)

    def deliver(piece: Piece, data: Buffer) -> None:
        assert piece.offset is not None
        if len(data) != piece.size:
            raise InvalidFile(f"chunk {piece.cid} has {len(data)} bytes where {piece.size} fit")
        partial.write(Chunk(piece.cid, piece.offset, len(data)), data)
        request.on_progress(partial.here, partial.size)

    chunks = [Piece(*chunk) for chunk in partial.lay_out(placed(level))]
    request.on_progress(partial.here, partial.size)
    fetch.get(chunks, deliver)


def _bring_block(
    store: BlockStore, request: FileRequest, partial: PartialFile, fetch: Fetch
) -> None:
    """A file of one chunk: its size is known only once it is here."""
    root, most = request.root, request.max_size
    try:
        data = store.get(root)
    except NotFound:
        received: list[bytes] = []
        fetch.get([Piece(root)], lambda _, block: received.append(bytes(block)))
        (data,) = received
    if len(data) > most:
        raise InvalidFile(f"{root} is a file of {len(data)} bytes where {most} are allowed")
    for chunk in partial.lay_out([Chunk(root, 0, len(data))]):
        partial.write(chunk, data)
