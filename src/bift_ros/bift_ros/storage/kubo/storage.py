"""The store that is a real IPFS daemon: Kubo, through its API.

A file that isn't here is sought in the daemon's swarm (Bitswap), where every vehicle that has it
serves it, and where that stalls at the providers' gateways (HTTP) as well. What comes over HTTP is
put into the daemon block by block, which also wakes its own search, so the two complete one
another. Either way every block is checked here when it is read, and only files of the layout that
Bift writes are read: vehicles with and without Kubo agree on which CIDs have bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from io import BytesIO, FileIO
from pathlib import Path

from bift_ros.storage.cidv1 import RAW
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.disk import replacing, write_error
from bift_ros.storage.errors import NotFound
from bift_ros.storage.fetcher import Fetcher
from bift_ros.storage.interface import FileRequest, Storage
from bift_ros.storage.kubo.api import KuboApi
from bift_ros.storage.kubo.transfer import Transfer, check_length
from bift_ros.storage.networks import ORDINARY, Networks
from bift_ros.storage.traffic import Traffic
from bift_ros.storage.unixfs import CHUNK_SIZE, MAX_FILE_SIZE, Chunk, chunks_of

_CALLS = 4
"""Calls at a time that look for one file's blocks."""
_ANY_SIZE = 1 << 62
"""Bytes; the number of a file's blocks bounds it."""


class KuboStorage(Storage):
    """A `Storage` in a running Kubo daemon, which it neither starts nor stops.

    The daemon collects files that nobody pinned when its repository is nearly full. All methods
    are thread-safe and block; `get` may run in many threads at once.
    """

    def __init__(
        self,
        api: KuboApi,
        url: str,
        *,
        networks: Networks = ORDINARY,
        chunk_size: int = CHUNK_SIZE,
        max_file_size: int = MAX_FILE_SIZE,
    ) -> None:
        """Use the daemon behind `api`; `url` is where others reach its gateway.

        `networks` are what may be fetched from over HTTP, and loopback where `url` is there;
        `chunk_size` and `max_file_size` are bytes: of the chunker, of one file in memory. Raises
        `StorageError` where the daemon does not answer.
        """
        super().__init__(api, chunk_size, max_file_size, _ANY_SIZE)
        self._api = api
        self._url = url
        api.version()
        self._fetcher = Fetcher(networks.seen_from(url))
        self._pool = ThreadPoolExecutor(_CALLS, thread_name_prefix="kubo")

    @property
    def url(self) -> str:
        """Where other vehicles reach the daemon's gateway."""
        return self._url

    @property
    def traffic(self) -> Traffic:
        """Nothing: `ipfs stats bw` tells what the daemon has sent and received."""
        return Traffic()

    def peers(self) -> list[str]:
        """Multiaddresses of the vehicles that the daemon is connected to."""
        return self._api.peers()

    def close(self) -> None:
        """Stop fetching; the daemon goes on."""
        self._fetcher.close()
        self._pool.shutdown(cancel_futures=True)

    def _add_bytes(self, data: bytes) -> str:
        return self._api.add(BytesIO(data), self._chunk_size)

    def _add_file(self, file: FileIO) -> str:
        return self._api.add(file, self._chunk_size)

    @contextmanager
    def _open(self, request: FileRequest) -> Iterator[_File]:
        transfer = Transfer(self._api, self._url, request)
        yield _File(self._api, request, lambda: transfer.run(self._fetcher, self._pool))


class _File:
    """A file in the daemon's repository, every block checked when it is read."""

    def __init__(self, api: KuboApi, request: FileRequest, fetch: Callable[[], None]) -> None:
        self._api = api
        self._root = request.root
        self._max_size = request.max_size
        self._fetch = fetch

    def read(self) -> bytes:
        """All of it, fetched where a block is missing or damaged."""
        with suppress(NotFound):
            return b"".join(self._chunks())
        self._fetch()
        return b"".join(self._chunks())

    def export(self, path: Path) -> None:
        """Write it to `path`, fetched where it isn't here."""
        if not self._api.has_file(self._root):
            self._fetch()
        try:
            with replacing(path) as target, open(target, "wb", closefd=False) as file:
                file.writelines(self._chunks())
        except OSError as error:
            raise write_error(str(path), error) from error

    def _chunks(self) -> Iterator[bytes]:
        root, max_size = self._root, self._max_size
        if root.codec == RAW:
            block = self._api.block(root)
            if len(block) > max_size:
                raise InvalidFile(f"{root} is a file of {len(block)} bytes, over {max_size}")
            yield block
            return

        # As one stream, which costs far less than a call a block; what does not come whole that
        # way is asked for by itself, which tells why.
        chunks = chunks_of(root, self._api.block, max_size)
        with closing(self._api.content(root)) as pieces:
            for chunk, data in zip(chunks, _cut(pieces, chunks), strict=True):
                block = data if chunk.cid.matches(data) else self._api.block(chunk.cid)
                check_length(chunk.cid, block, chunk.size)
                yield block


def _cut(pieces: Iterator[bytes], chunks: Sequence[Chunk]) -> Iterator[bytes]:
    """Cut a stream into chunks; those beyond its end are short."""
    held = bytearray()
    for chunk in chunks:
        while len(held) < chunk.size and (piece := next(pieces, b"")):
            held += piece
        yield bytes(held[: chunk.size])
        del held[: chunk.size]
