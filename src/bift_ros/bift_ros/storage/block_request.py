"""One HTTP request for blocks at another vehicle's gateway, which is not trusted.

Redirects are not followed; no proxy, cookie or decompression is in play. An answer is read no
further than the bytes that fit, and nothing of it is used before its hash was checked.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from bift_ros.storage.byte_ranges import AVAILABLE, ByteRanges
from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.provider import Piece, Provider
from bift_ros.storage.unixfs import MAX_BLOCK_SIZE

REQUEST_TIMEOUT = 10.0
"""Seconds for one block from one provider, from the last one or from connecting."""
BUFFER_BYTES = 16 << 20
"""What the kernel may set aside for one connection, its own overhead included; it may allow less.

A whole answer fits, so that neither side waits for the other to have its turn on the processor.
"""
RAW_TYPE = "application/vnd.ipld.raw"

Connect = Callable[[str, int, float], socket.socket]
"""Connects to a host's port, with a timeout in seconds, if it may be connected to."""

_SHORT = 4096
"""Bytes of a refusal that are read so that its connection can be used again."""
_MISSING = (404, 410, 429, 503, 504)
"""HTTP statuses that say nothing against asking for another block, or later."""


class FaultError(Exception):
    """Why a provider did not give a block."""

    def __init__(self, reason: str, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting
        """Whether asking it again during this fetch is pointless."""


class Request:
    """Pieces asked of one provider; runs in a thread, another may end it."""

    def __init__(
        self, root: Cid, provider: Provider, pieces: Sequence[Piece], connect: Connect
    ) -> None:
        self.root = root
        self.provider = provider
        self.pieces = pieces
        self.by_range = len(pieces) > 1 or (pieces[0].size is not None and not provider.by_cid)
        self._connect = connect
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
            self.provider.has = ByteRanges.parse(answer.headers[AVAILABLE])
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
                self.provider.idle.append(connection)

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
            connection, used = _connection(self.provider)
            with self._mutex:
                self._connection = connection
            try:
                if connection.sock is None:
                    _connect(connection, self._connect)
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
                self.provider.by_range = False
                raise FaultError("serves no ranges of a file", lasting=False)
            return
        if answer.status != 200:
            lasting = answer.status not in _MISSING
            raise FaultError(f"answered HTTP {answer.status}", lasting)
        limit = _limit(self.pieces[0])
        if (answer.length or 0) > limit:
            raise FaultError(f"offered {answer.length} bytes where {limit} fit")


def _connection(provider: Provider) -> tuple[http.client.HTTPConnection, bool]:
    """A connection, and whether it was used before."""
    with suppress(IndexError):
        return provider.idle.pop(), True
    parts = urlsplit(provider.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(provider.host, parts.port)
    connection.auto_open = 0  # only to an address that was checked
    return connection, False


def _connect(connection: http.client.HTTPConnection, connect: Connect) -> None:
    """Connect, with room for `BUFFER_BYTES` from the start; raises `OSError`.

    The kernel would make room bit by bit. It makes as much at once as a read is said to wait for;
    SO_RCVBUF would keep it from ever making more.
    """
    plain = connect(connection.host, connection.port, REQUEST_TIMEOUT)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for lowest in (BUFFER_BYTES, 1):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, lowest)
    connection.sock = plain
    if isinstance(connection, http.client.HTTPSConnection):
        context = ssl.create_default_context()
        connection.sock = context.wrap_socket(plain, server_hostname=connection.host)


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
