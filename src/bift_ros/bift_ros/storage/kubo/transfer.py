"""A file on its way into a Kubo daemon: from its swarm, and where that stalls over HTTP as well."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from bift_ros.storage.chunker import Buffer, map_ahead
from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.errors import NotFound
from bift_ros.storage.fetch import Fetch
from bift_ros.storage.fetcher import Fetcher
from bift_ros.storage.interface import FileRequest
from bift_ros.storage.kubo.api import KuboApi
from bift_ros.storage.kubo.fallback import Fallback
from bift_ros.storage.provider import Piece
from bift_ros.storage.unixfs import Level, levels, placed

SOUGHT_AT_ONCE = 8
"""Blocks of a file that the daemon seeks at a time; more would all be asked of one vehicle."""
FIRST_PATIENCE, PATIENCE = 1.0, 12.0
"""Seconds without a block from the swarm after which the providers are asked as well: for the
first block, which is small, and for the others, of which a crowded network brings few a second.
"""


@dataclass
class Transfer:
    """One file that a daemon lacks; both ways of getting it share bounds and progress."""

    api: KuboApi
    url: str
    """Of this vehicle's gateway."""
    request: FileRequest
    _began: float = field(default_factory=time.monotonic)
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    _counted: set[Piece] = field(default_factory=set)
    _here: int = 0
    _size: int = 0
    _listeners: list[Callable[[Piece], None]] = field(default_factory=list)
    """Told what comes from the swarm."""

    def run(self, fetcher: Fetcher, pool: ThreadPoolExecutor) -> None:
        """Get the file; `pool` asks the daemon for what it has. Raises `StorageError`."""
        fallback = Fallback()
        in_swarm = bool(self.api.peers())
        if in_swarm:
            fallback.start(self.from_swarm)
            first = min(FIRST_PATIENCE, self.request.timeout / 2)
            if fallback.succeeds_unaided(first, PATIENCE):
                return
        if self.request.providers:
            fallback.start(lambda _: self.over_http(fetcher, pool))
        elif not in_swarm:
            what = f"{self.request.root} is not in this store"
            raise NotFound(f"{what}, its swarm has no peers and no provider is known")
        if fallback.succeeds():
            return
        for error in fallback.errors:
            if isinstance(error, InvalidFile):
                raise error
        raise NotFound("; ".join(str(error) for error in fallback.errors))

    def from_swarm(self, on_piece: Callable[[], None]) -> None:
        """Have the daemon get the file's blocks from its swarm."""

        def seek(level: Level, piece: Piece) -> None:
            size = self.api.seek_block(piece.cid, self._seconds_left)
            if size != (piece.size or size):
                raise InvalidFile(f"chunk {piece.cid} has {size} bytes where {piece.size} fit")
            if size > self.request.max_size:
                most = self.request.max_size
                raise InvalidFile(f"{piece.cid} is a file of {size} bytes, over {most}")
            if piece.cid in level.nodes:
                level.judge(piece.cid, self.api.block(piece.cid))
            on_piece()
            self._count(piece)
            for listener in self._listeners:
                listener(piece)

        with ThreadPoolExecutor(SOUGHT_AT_ONCE, thread_name_prefix="kubo-seek") as pool:
            for level, pieces in self._levels():
                for share in shares(pieces, self.url, self.request.providers):
                    for _ in pool.map(partial(seek, level), share):
                        pass

    def over_http(self, fetcher: Fetcher, pool: ThreadPoolExecutor) -> None:
        """Put into the daemon, block by block, what the providers' gateways have of the file."""
        with fetcher.fetch(replace(self.request, timeout=self._seconds_left)) as fetch:
            self._listeners.append(fetch.discard)
            for level, pieces in self._levels():
                self._fetch_missing(fetch, level, pieces, pool)

    def _fetch_missing(
        self, fetch: Fetch, level: Level, pieces: Sequence[Piece], pool: ThreadPoolExecutor
    ) -> None:
        found = map_ahead(pool, lambda piece: self.api.has_block(piece.cid), iter(pieces))
        missing = []
        for piece, present in zip(pieces, found, strict=True):
            if present:
                self._count(piece)
            else:
                missing.append(piece)

        def keep(piece: Piece, data: memoryview) -> None:
            if piece.size is not None:
                check_length(piece.cid, data, piece.size)
            if piece.cid in level.nodes:
                level.judge(piece.cid, data)
            self.api.put_block(piece.cid, data)
            self._count(piece)

        fetch.get(missing, keep)

    def _levels(self) -> Iterator[tuple[Level, list[Piece]]]:
        """The levels of the file's tree, and the blocks of each, each once.

        Those of the levels before must be here.
        """
        for level in levels(self.request.root, self.api.block, self.request.max_size):
            if level[0].cid.codec == RAW:
                self._size = sum(part.size or 0 for part in level)
            yield level, _pieces(level)

    @property
    def _seconds_left(self) -> float:
        """How long the next step may take."""
        if self.request.stalled:
            return self.request.timeout
        return max(0.1, self.request.timeout - (time.monotonic() - self._began))

    def _count(self, piece: Piece) -> None:
        """Tell of a chunk's coming, once, whichever way it came."""
        with self._mutex:
            if piece.size is None or piece in self._counted:
                return
            self._counted.add(piece)
            self._here += piece.size
            here = self._here
        self.request.on_progress(here, self._size)


def shares(pieces: Sequence[Piece], url: str, others: Sequence[str]) -> Iterator[list[Piece]]:
    """First this vehicle's own share of the pieces, then the others in any order.

    So vehicles that fetch a file at once first get different pieces of it from whoever has it, and
    the rest from one another. Every vehicle of `url` and `others` has a share.
    """
    names = sorted({url, *others})
    mine = names.index(url)
    yield [piece for at, piece in enumerate(pieces) if at % len(names) == mine]
    rest = [piece for at, piece in enumerate(pieces) if at % len(names) != mine]
    random.shuffle(rest)
    yield rest


def check_length(cid: Cid, data: Buffer, size: int) -> None:
    """Raise `InvalidFile` for a chunk that isn't as long as its parent says."""
    if len(data) != size:
        raise InvalidFile(f"chunk {cid} has {len(data)} bytes where {size} fit")


def _pieces(level: Level) -> list[Piece]:
    if level.nodes or level[0].size is None:
        return [Piece(cid) for cid in dict.fromkeys(part.cid for part in level)]
    return [Piece(*chunk) for chunk in {chunk.cid: chunk for chunk in placed(level)}.values()]
