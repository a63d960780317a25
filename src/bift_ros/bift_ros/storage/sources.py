"""Other vehicles' gateways as sources of blocks: one request each, none of them trusted.

Providers' URLs come from announcements, so they are untrusted too: only the origin of an http(s)
URL counts, redirects are not followed, no proxy, cookie or decompression is in play. An answer is
read no further than the bytes that fit, and nothing of it is used before its hash was checked.
"""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.interface import StorageError
from bift_ros.storage.ranges import Ranges
from bift_ros.storage.unixfs import MAX_BLOCK_SIZE

MAX_PROVIDERS = 32
"""Providers considered for one file; the rest of a longer list is ignored."""
MAX_URL_LENGTH = 256
"""Characters."""
REQUEST_TIMEOUT = 10.0
"""Seconds for one block from one provider, from the last one or from connecting."""
BUFFER_BYTES = 16 << 20
"""What the kernel may set aside for one connection, its own overhead included; it may allow less.

A whole answer fits, so that neither side waits for the other to have its turn on the processor.
"""
RAW_TYPE = "application/vnd.ipld.raw"

AVAILABLE = "Available-Ranges"
"""Header by which a vehicle that is still fetching a file says what it has of it (`Ranges`)."""

_SHORT = 4096
"""Bytes of a refusal that are read so that its connection can be used again."""
_HOST = re.compile(r"[a-z0-9._:-]+")
_MISSING = (404, 410, 429, 503, 504)
"""HTTP statuses that say nothing against asking for another block, or later."""


class Piece(NamedTuple):
    """A block that is wanted."""

    cid: Cid
    offset: int | None = None
    """Where it lies in the file, in bytes; None for a node, or for a file of one block."""
    size: int | None = None
    """Bytes, where its parent tells."""


class FaultError(Exception):
    """Why a provider did not give a block."""

    def __init__(self, reason: str, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting
        """Whether asking it again during this fetch is pointless."""


@dataclass(eq=False)
class Source:
    """One provider during one fetch."""

    url: str
    served: int = 0
    """Blocks that it gave."""
    fault: str | None = None
    """What was last wrong with it."""
    gone: bool = False
    """Whether it is asked no more."""
    ranges: bool = True
    """Whether it may be asked for a stretch of the file, several blocks at once."""
    stretch: int = 2
    """Blocks to ask of it at once."""
    in_flight: int = 0
    misses: int = 0
    """Blocks in a row that it did not have."""
    ready_at: float = 0.0
    """`time.monotonic()` from which on it is asked again."""
    has: Ranges | None = None
    """What it has of the file, where it is fetching that itself."""
    by_cid: bool = True
    """Whether a single chunk is asked for by its CID, not as a stretch of the file."""
    idle: list[http.client.HTTPConnection] = field(default_factory=list)
    """Open connections to use again."""

    def holds(self, piece: Piece) -> bool:
        """Whether it is fetching the file and has said that it has this piece."""
        if self.has is None or piece.offset is None or piece.size is None:
            return False
        return self.has.cover(piece.offset, piece.offset + piece.size)

    def connection(self) -> tuple[http.client.HTTPConnection, bool]:
        """A connection, and whether it was used before."""
        with suppress(IndexError):
            return self.idle.pop(), True
        parts = urlsplit(self.url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        return kind(parts.hostname or "", parts.port, timeout=REQUEST_TIMEOUT), False

    def close(self) -> None:
        """Close what is idle."""
        while self.idle:
            self.idle.pop().close()


class Request:
    """Pieces asked of one source; runs in a thread, another may end it."""

    def __init__(self, root: Cid, source: Source, pieces: Sequence[Piece]) -> None:
        self.root = root
        self.source = source
        self.pieces = pieces
        self.by_range = len(pieces) > 1 or (pieces[0].size is not None and not source.by_cid)
        self._mutex = threading.Lock()
        self._ended: str | None = None
        self._connection: http.client.HTTPConnection | None = None

    def run(self, deliver: Callable[[Piece, memoryview], None]) -> None:
        """Get the pieces in turn, each checked; raises `FaultError`, or what `deliver` raises."""
        try:
            self._receive(deliver)
        except TimeoutError as error:
            raise FaultError(f"took over {REQUEST_TIMEOUT:g} s for a block") from error
        except OSError as error:  # a socket's; deliver's are StorageError
            reason = f"broke off: {error.strerror or error or type(error).__name__}"
            raise FaultError(self._ended or reason) from error
        except (http.client.HTTPException, ValueError) as error:
            reason = f"broke off: {error or type(error).__name__}"
            raise FaultError(self._ended or reason) from error
        finally:
            with self._mutex:
                self._ended = self._ended or "done"
                if self._connection is not None:
                    self._connection.close()

    def end(self, reason: str) -> None:
        """Stop it, from any thread; when this returns nothing more is delivered."""
        with self._mutex:
            self._ended = self._ended or reason
            if self._connection is not None and self._connection.sock is not None:
                with suppress(OSError):
                    self._connection.sock.shutdown(socket.SHUT_RDWR)

    def _receive(self, deliver: Callable[[Piece, memoryview], None]) -> None:
        connection, answer = self._ask()
        if self.by_range:
            self.source.has = Ranges.parse(answer.headers[AVAILABLE])
        try:
            self._check(answer)
        except FaultError:
            if answer.status in _MISSING and (answer.length or 0) <= _SHORT:
                answer.read()
                self._keep(connection, answer)
            raise
        buffer = memoryview(bytearray(max(_limit(piece) for piece in self.pieces) + 1))
        for piece in self.pieces:
            wanted = piece.size if self.by_range and piece.size else _limit(piece) + 1
            got = _read(answer, buffer[:wanted])
            data = buffer[:got]
            if got > _limit(piece):
                raise FaultError(f"sent more than the {_limit(piece)} bytes that fit")
            if not piece.cid.matches(data):
                cut = got < wanted if self.by_range else answer.length
                raise FaultError(
                    "broke off in a block" if cut else "sent bytes that are not the block's"
                )
            with self._mutex:
                if self._ended:
                    raise FaultError(self._ended)
                deliver(piece, data)
        self._keep(connection, answer)

    def _keep(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        with self._mutex:
            if answer.isclosed() and connection.sock is not None:  # to its end, and kept alive
                self._connection = None
                self.source.idle.append(connection)

    def _ask(self) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        first, last = self.pieces[0], self.pieces[-1]
        headers = {"Accept-Encoding": "identity"}
        if self.by_range:
            assert first.offset is not None
            assert last.offset is not None
            assert last.size is not None
            path = f"/ipfs/{self.root}"
            headers["Range"] = f"bytes={first.offset}-{last.offset + last.size - 1}"
        else:
            path = f"/ipfs/{first.cid}?format=raw"
            headers["Accept"] = RAW_TYPE
        while True:
            connection, used = self.source.connection()
            with self._mutex:
                self._connection = connection
            try:
                if connection.sock is None:
                    _connect(connection)
            except OSError as error:
                reason = self._ended or f"cannot be reached: {error.strerror or error}"
                raise FaultError(reason) from error
            with self._mutex:
                if self._ended:
                    raise FaultError(self._ended)
            try:
                connection.request("GET", path, headers=headers)
                return connection, connection.getresponse()
            except (http.client.RemoteDisconnected, ConnectionError):
                connection.close()
                if not used:  # else it had been closed while it was idle
                    raise

    def _check(self, answer: http.client.HTTPResponse) -> None:
        """Refuse an answer by its head alone."""
        if self.by_range:
            first, last = self.pieces[0], self.pieces[-1]
            span = f"bytes {first.offset}-{(last.offset or 0) + (last.size or 0) - 1}/"
            if answer.status in _MISSING:
                raise FaultError(f"answered HTTP {answer.status}", lasting=False)
            if answer.status != 206 or not (answer.headers["Content-Range"] or "").startswith(span):
                self.source.ranges = False
                raise FaultError("serves no stretches of a file", lasting=False)
            return
        if answer.status != 200:
            lasting = answer.status not in _MISSING
            raise FaultError(f"answered HTTP {answer.status}", lasting)
        limit = _limit(self.pieces[0])
        if (answer.length or 0) > limit:
            raise FaultError(f"offered {answer.length} bytes where {limit} fit")


def _connect(connection: http.client.HTTPConnection) -> None:
    """Connect, with room for `BUFFER_BYTES` from the start; raises `OSError`.

    The kernel would make room bit by bit. It makes as much at once as a read is said to wait for;
    SO_RCVBUF would keep it from ever making more.
    """
    connection.connect()
    for lowest in (BUFFER_BYTES, 1):
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, lowest)


def _limit(piece: Piece) -> int:
    return MAX_BLOCK_SIZE if piece.size is None else min(MAX_BLOCK_SIZE, piece.size)


def _read(answer: http.client.HTTPResponse, buffer: memoryview) -> int:
    """Fill a buffer as far as the answer goes; how far that was."""
    filled = 0
    while filled < len(buffer):
        count = answer.readinto(buffer[filled:])
        if not count:
            break
        filled += count
    return filled


def sources_of(providers: Sequence[str]) -> tuple[list[Source], dict[str, str]]:
    """The providers worth asking, and why the others are not."""
    good: dict[str, Source] = {}
    refused: dict[str, str] = {}
    for url in providers[:MAX_PROVIDERS]:
        try:
            origin = provider_origin(url)
            good.setdefault(origin, Source(origin))
        except StorageError as error:
            refused[str(url)[:MAX_URL_LENGTH]] = str(error)
    return list(good.values()), refused


def provider_origin(url: str) -> str:
    """Check a provider's URL from an announcement; return it as `scheme://host:port`.

    Raises `StorageError`.
    """
    if not isinstance(url, str) or len(url) > MAX_URL_LENGTH:
        raise StorageError(f"a provider's URL is a text of at most {MAX_URL_LENGTH} characters")
    if not (url.isascii() and url.isprintable()):
        raise StorageError("a provider's URL is printable ASCII")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise StorageError(f"not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise StorageError("a provider's URL begins with http:// or https:// and names a host")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise StorageError("a provider's URL is only scheme, host and port")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
