"""Whose connections a gateway has: nobody, be it by silence or by reading slowly, gets all of them.

A connection that waits for a request gives way to a new one, and so does one whose client takes its
answer very slowly; those of members only to members. Silent ones also end by themselves: a
request's head has to come whole within a time, however it drips.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Collection
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from bift_ros.storage.members import MemberAddresses, plain_address

MAX_CONNECTIONS = 512
"""Open connections of all addresses."""
MAX_OF_OTHERS = 384
"""Of all those together that are not members' of the fleet."""
MAX_PER_ADDRESS = 64
"""Of one address: a vehicle that fetches several files has some 20."""
MAX_ON_THIS_HOST = 448
"""Of all processes on this host, which share the loopback address: a whole fleet, perhaps."""
HEAD_TIMEOUT = 10.0
"""Seconds from connecting to the end of the first request's head."""
IDLE_TIMEOUT = 30.0
"""Seconds from one answer to the end of the next request's head."""
BODY_TIMEOUT = 5.0
"""Seconds that a request's body, which nobody needs, may take after the answer."""
MAX_LINE, MAX_HEADER, MAX_HEADERS = 1024, 1024, 24
"""Bytes of a request's first line and of one header, and headers: 25 kB of a head in memory."""
MAX_UNANSWERED = 32_768
"""Bytes that one connection sends before it is answered: what cannot be read is kept until then."""
MAX_PIPELINED = 2
"""Requests that one connection sends before they are answered."""
SLOW_AFTER, SLOW_PACE = 5.0, 32_768
"""Seconds of an answer after which a client is slow that took fewer bytes a second."""

THIS_HOST = "this host"


def network_of(host: str) -> str:
    """Who an IP address is, as far as limits go.

    All loopback addresses are one, and all of an IPv6 network of 64 bits, which one host may use.
    """
    address = plain_address(host)
    if address.is_loopback:
        return THIS_HOST
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Connection(RequestHandler):
    """One client's; aiohttp reads its requests."""

    __slots__ = ("_connections", "asked_at", "is_member", "network", "sent", "unanswered")

    def __init__(self, server: Server, connections: Connections) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # no log at all
            keepalive_timeout=IDLE_TIMEOUT,
            lingering_time=BODY_TIMEOUT,
            max_line_size=MAX_LINE,
            max_field_size=MAX_HEADER,
            max_headers=MAX_HEADERS,
        )
        self._connections = connections
        self.network = ""
        """Whose it is; see `network_of`."""
        self.is_member = False
        self.asked_at = 0.0
        """When its present request came, by the loop's clock."""
        self.sent = 0
        """Bytes of the answer to that."""
        self.unanswered = 0
        """Bytes that have come since the last answer."""

    @property
    def is_strange(self) -> bool:
        """Whether it comes from elsewhere, and from no member's address."""
        return not self.is_member and self.network != THIS_HOST

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read, if there is room."""
        peer = transport.get_extra_info("peername")
        super().connection_made(transport)
        if peer:  # None where it has gone already
            self.network = network_of(peer[0])
            self.is_member = plain_address(peer[0]) in self._connections.members
        self._connections.admit(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another."""
        self._connections.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless it is many requests at once, or larger than any."""
        self.unanswered += len(data)
        if self.unanswered > MAX_UNANSWERED:
            self.abort()
            return
        super().data_received(data)
        if len(self._messages) > MAX_PIPELINED:
            self.abort()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what is wrong here, and not what is no HTTP: that would be the client's to write."""
        if not isinstance(kw.get("exc_info"), HttpProcessingError):
            super().log_exception(*args, **kw)

    def abort(self) -> None:
        """End it at once."""
        if self.transport is not None:
            self.transport.abort()

    def pace(self, now: float) -> float:
        """Bytes a second that its client takes of the present answer; many while it is new."""
        seconds = now - self.asked_at
        return self.sent / seconds if seconds >= SLOW_AFTER else float("inf")


class Connections:
    """Those of one gateway, all used in its loop."""

    def __init__(self, members: MemberAddresses) -> None:
        self.members = members
        self._open: set[Connection] = set()
        self._by_network: Counter[str] = Counter()
        self._others = 0
        self._waiting: dict[Connection, asyncio.TimerHandle] = {}
        """Those that wait for a request, the longest first."""

    def admit(self, new: Connection) -> None:
        """Take a connection in, and end one that idles, or the new one, where that is too many."""
        most = MAX_ON_THIS_HOST if new.network == THIS_HOST else MAX_PER_ADDRESS
        of_others = not new.is_member and self._others >= MAX_OF_OTHERS
        if self._by_network[new.network] >= most:
            crowd = [old for old in self._open if old.network == new.network]
            given_up = self._least_needed(crowd, new)
        elif of_others or len(self._open) >= MAX_CONNECTIONS:
            given_up = self._least_needed(self._open, new)
        else:
            given_up = new
        if given_up is None:
            new.abort()
            return
        if given_up is not new:
            self.forget(given_up)
            given_up.abort()
        self._open.add(new)
        self._by_network[new.network] += 1
        self._others += not new.is_member
        self._wait(new, HEAD_TIMEOUT)

    def forget(self, connection: Connection) -> None:
        """Note that a connection has ended; harmless when repeated."""
        if connection in self._open:
            self._open.remove(connection)
            self._by_network[connection.network] -= 1
            self._by_network += Counter()  # forgets what is at zero
            self._others -= not connection.is_member
            self._no_longer_waiting(connection)

    def busy(self, connection: Connection) -> None:
        """Note that a request has come."""
        self._no_longer_waiting(connection)
        connection.asked_at, connection.sent = asyncio.get_running_loop().time(), 0

    def idle(self, connection: Connection) -> None:
        """Note that a request was answered."""
        connection.unanswered = 0
        if connection in self._open:
            self._wait(connection, IDLE_TIMEOUT)

    def _wait(self, connection: Connection, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiting[connection] = loop.call_later(seconds, connection.abort)

    def _no_longer_waiting(self, connection: Connection) -> None:
        timer = self._waiting.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _least_needed(self, crowd: Collection[Connection], new: Connection) -> Connection | None:
        """Which of them is to give way to a new one; a member's gives way to members alone."""
        others = [old for old in crowd if not old.is_member]
        found = self._idle_of(others)
        if found is None and new.is_member:
            found = self._idle_of([old for old in crowd if old.is_member])
        return found

    def _idle_of(self, crowd: Collection[Connection]) -> Connection | None:
        """The one that waits longest, of the network with most if it has any; else the slowest."""
        if not crowd:
            return None
        largest = Counter(old.network for old in crowd).most_common(1)[0][0]
        waiting = [old for old in self._waiting if old in crowd]
        for old in waiting:
            if old.network == largest:
                return old
        if waiting:
            return waiting[0]
        now = asyncio.get_running_loop().time()
        slowest = min(crowd, key=lambda old: old.pace(now))
        return slowest if slowest.pace(now) < SLOW_PACE else None
