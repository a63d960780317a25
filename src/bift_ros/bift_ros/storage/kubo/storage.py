"""The store that is a real IPFS daemon: Kubo, through its API.

A file that isn't here is sought in the daemon's swarm (Bitswap), where every vehicle that has it
serves it, and where that stalls at the providers' gateways (HTTP) as well. What comes over HTTP is
put into the daemon block by block, which also wakes its own search, so the two complete one
another. Either way every block is checked here when it is read, and only files of the layout that
Bift writes are read: vehicles with and without Kubo agree on which CIDs have bytes.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from io import BytesIO
from pathlib import Path

from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.copying import Buffer, map_ahead
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.disk import sync_folder
from bift_ros.storage.errand import Errand, Tally
from bift_ros.storage.fetcher import Fetch, Fetcher
from bift_ros.storage.interface import NotFound, Progress, StorageError, untold
from bift_ros.storage.kubo.api import KuboApi
from bift_ros.storage.race import Race
from bift_ros.storage.sources import Piece
from bift_ros.storage.swarm import shares
from bift_ros.storage.traffic import Traffic
from bift_ros.storage.unixfs import (
    CHUNK_SIZE,
    MAX_FILE_SIZE,
    Chunk,
    Part,
    chunks_of,
    levels,
    placed,
)

log = logging.getLogger(__name__)

GET_TIMEOUT = 30.0
"""Seconds that a `get` may take by default."""
SOUGHT_AT_ONCE = 8
"""Blocks of a file that the daemon seeks at a time; more would all be asked of one vehicle."""
FIRST_PATIENCE, PATIENCE = 1.0, 12.0
"""Seconds without a block from the swarm after which the providers are asked as well: for the
first block, which is small, and for the others, of which a crowded network brings few a second.
"""


class KuboStorage:
    """A `Storage` in a running Kubo daemon, which it neither starts nor stops.

    The daemon collects files that nobody pinned when its repository is nearly full. All methods
    are thread-safe and block; `get` may run in many threads at once.
    """

    def __init__(
        self,
        api: KuboApi,
        url: str,
        *,
        chunk_size: int = CHUNK_SIZE,
        max_file_size: int = MAX_FILE_SIZE,
    ) -> None:
        """Use the daemon behind `api`; `url` is where others reach its gateway.

        `chunk_size` and `max_file_size` are bytes: of the chunker, of one file in memory. Raises
        `StorageError` where the daemon does not answer.
        """
        self._api = api
        self.url = url
        """What announcements carry as the provider."""
        self.version = api.version()
        self._chunk_size = chunk_size
        self._max_file_size = max_file_size
        self._fetcher = Fetcher()
        self._pool = ThreadPoolExecutor(_CALLS, thread_name_prefix="kubo")

    @property
    def traffic(self) -> Traffic:
        """Nothing: `ipfs stats bw` tells what the daemon has sent and received."""
        return Traffic()

    def put(self, data: bytes) -> str:
        """Store a file durably and return its CID."""
        if len(data) > self._max_file_size:
            raise StorageError(
                f"{len(data)} bytes are more than {self._max_file_size}, a file's most"
            )
        return self._api.add(BytesIO(data), self._chunk_size)

    def put_file(self, path: Path) -> str:
        """Store a file of any size durably, in bounded memory, and return its CID."""
        try:
            with path.open("rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise StorageError(f"{path} cannot be shared: it is not a regular file")
                return self._api.add(file, self._chunk_size)
        except OSError as error:
            raise StorageError(f"{path} cannot be shared: {error.strerror}") from error

    def get(
        self, cid: str, providers: Sequence[str] = (), *, timeout: float = GET_TIMEOUT
    ) -> bytes:
        """Return a file from this daemon or, within `timeout` seconds, from others.

        Providers that had to be skipped are logged. Raises `CidError`, `NotFound`, `InvalidFile`
        or another `StorageError`.
        """
        root = Cid.parse(cid)
        with suppress(NotFound):
            return self._read(root)
        self._bring(root, providers, timeout, False, self._max_file_size)
        return self._read(root)

    def get_file(
        self,
        cid: str,
        path: Path,
        providers: Sequence[str] = (),
        *,
        timeout: float = GET_TIMEOUT,
        on_progress: Progress = untold,
    ) -> None:
        """Write a file of any size to `path`, whole or not at all, in bounded memory.

        It fails when for `timeout` seconds nothing has come. Raises like `get`.
        """
        root = Cid.parse(cid)
        if not self._api.has_file(root):
            self._bring(root, providers, timeout, True, _ANY_SIZE, on_progress)
        try:
            _write_whole(path, self._chunks(root, _ANY_SIZE))
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from error

    def pin(self, cid: str) -> None:
        """Keep a file until it is unpinned, across restarts; `NotFound` if it isn't here."""
        self._api.pin(Cid.parse(cid))

    def unpin(self, cid: str) -> None:
        """Let a file go when space is needed."""
        self._api.unpin(Cid.parse(cid))

    def has(self, cid: str) -> bool:
        """Whether the whole file is here."""
        return self._api.has_file(Cid.parse(cid))

    def peers(self) -> list[str]:
        """Multiaddresses of the vehicles that the daemon is connected to."""
        return self._api.peers()

    def connect(self, address: str) -> None:
        """Connect the daemon to another one, at a multiaddress that ends in its peer ID."""
        self._api.connect(address)

    def close(self) -> None:
        """Stop fetching; the daemon goes on."""
        self._fetcher.close()
        self._pool.shutdown(cancel_futures=True)

    def _read(self, root: Cid) -> bytes:
        return b"".join(self._chunks(root, self._max_file_size))

    def _chunks(self, root: Cid, max_size: int) -> Iterator[bytes]:
        """A file's content in its order, every block checked."""
        if root.codec == RAW:
            block = self._block(root)
            if len(block) > max_size:
                raise InvalidFile(f"{root} is a file of {len(block)} bytes, over {max_size}")
            yield block
            return

        # As one stream, which costs far less than a call a block; what does not come whole that
        # way is asked for by itself, which tells why.
        chunks = chunks_of(root, self._block, max_size)
        with closing(self._api.content(root)) as pieces:
            for chunk, data in zip(chunks, _cut(pieces, chunks), strict=True):
                block = data if chunk.cid.matches(data) else self._block(chunk.cid)
                _check_length(chunk.cid, block, chunk.size)
                yield block

    def _block(self, cid: Cid) -> bytes:
        data = self._api.block(cid)
        if not cid.matches(data):
            # A daemon never overwrites a block that it has, so the damaged one must go first.
            self._api.drop_block(cid)
            raise NotFound(f"block {cid} was damaged in the daemon's repository and is removed")
        return data

    def _bring(
        self,
        root: Cid,
        providers: Sequence[str],
        timeout: float,
        stalled: bool,
        max_size: int,
        on_progress: Progress = untold,
    ) -> None:
        """Get a file into the daemon: from its swarm, and where that stalls over HTTP as well.

        Within `timeout` seconds, or (`stalled`) never so long without anything new.
        """
        race = Race()
        errand = Errand(root, providers, timeout, stalled, max_size, Tally(on_progress))
        in_swarm = bool(self._api.peers())
        if in_swarm:
            race.start(partial(self._in_swarm, errand))
            if race.goes_well(min(FIRST_PATIENCE, timeout / 2), PATIENCE):
                return
        if providers:
            race.start(partial(self._over_http, errand))
        elif not in_swarm:
            raise NotFound(
                f"{root} is not in this store, its swarm has no peers and no provider is known"
            )
        if race.won():
            return
        for error in race.errors:
            if isinstance(error, InvalidFile):
                raise error
        raise NotFound("; ".join(str(error) for error in race.errors))

    def _in_swarm(self, errand: Errand, on_piece: Callable[[], None]) -> None:
        """Have the daemon get a file's blocks from its swarm; tells the tally what came."""
        tally, most = errand.tally, errand.max_size

        def seek(piece: Piece) -> None:
            size = self._api.seek_block(piece.cid, errand.seconds_left)
            if size != (piece.size or size):
                raise InvalidFile(f"chunk {piece.cid} has {size} bytes where {piece.size} fit")
            if size > most:
                raise InvalidFile(f"{piece.cid} is a file of {size} bytes, over {most}")
            on_piece()
            tally.came(piece)
            for listener in tally.listeners:
                listener(piece)

        with ThreadPoolExecutor(SOUGHT_AT_ONCE, thread_name_prefix="kubo-seek") as pool:
            for level in levels(errand.root, self._block, most):
                tally.expect(level)
                for pieces in shares(_pieces(level), self.url, errand.providers):
                    for _ in pool.map(seek, pieces):
                        pass

    def _over_http(self, errand: Errand, _: Callable[[], None]) -> None:
        root, tally = errand.root, errand.tally
        with self._fetcher.fetch(
            root, errand.providers, errand.seconds_left, stalled=errand.stalled
        ) as fetch:
            tally.listeners.append(fetch.came_otherwise)
            for level in levels(root, self._block, errand.max_size):
                tally.expect(level)
                self._fetch_missing(fetch, _pieces(level), tally)
        for url, reason in fetch.report().skipped.items():
            log.warning("fetching %s: provider %s was skipped: %s", root, url, reason)

    def _fetch_missing(self, fetch: Fetch, pieces: Sequence[Piece], tally: Tally) -> None:
        found = map_ahead(self._pool, lambda piece: self._api.has_block(piece.cid), iter(pieces))
        missing = []
        for piece, present in zip(pieces, found, strict=True):
            if present:
                tally.came(piece)
            else:
                missing.append(piece)

        def keep(piece: Piece, data: memoryview) -> None:
            if piece.size is not None:
                _check_length(piece.cid, data, piece.size)
            self._api.put_block(piece.cid, data)
            tally.came(piece)

        if missing:
            fetch.get(missing, keep)


_CALLS = 4
"""Calls at a time that look for one file's blocks."""
_ANY_SIZE = 1 << 62
"""Bytes; the number of a file's blocks bounds it."""


def _pieces(level: Sequence[Part]) -> list[Piece]:
    """The blocks of one level of a file's tree, each once."""
    if level[0].cid.codec == RAW and level[0].size is not None:
        return [Piece(*chunk) for chunk in {chunk.cid: chunk for chunk in placed(level)}.values()]
    return [Piece(cid) for cid in dict.fromkeys(part.cid for part in level)]


def _cut(pieces: Iterator[bytes], chunks: Sequence[Chunk]) -> Iterator[bytes]:
    """Cut a stream into chunks; those beyond its end are short."""
    held = bytearray()
    for chunk in chunks:
        while len(held) < chunk.size and (piece := next(pieces, b"")):
            held += piece
        yield bytes(held[: chunk.size])
        del held[: chunk.size]


def _check_length(cid: Cid, data: Buffer, size: int) -> None:
    if len(data) != size:
        raise InvalidFile(f"chunk {cid} has {len(data)} bytes where {size} fit")


def _write_whole(path: Path, pieces: Iterator[bytes]) -> None:
    """Write a file under its name only once it is whole and durable."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
        try:
            for piece in pieces:
                new.write(piece)
            new.flush()
            os.fsync(new.fileno())
            os.replace(new.name, path)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise
    sync_folder(path.parent)
