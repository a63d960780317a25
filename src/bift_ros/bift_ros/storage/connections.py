"""Whose connections and answers a gateway has: nobody, be it by silence, gets all of them.

A connection that waits for a request gives way to a new one, so silent ones keep nobody out. They
also end by themselves: a request's head has to come whole within a time, however it drips.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

MAX_CONNECTIONS = 512
"""Open connections of all addresses."""
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

THIS_HOST = "this host"


def network_of(host: str) -> str:
    """Who an IP address is, as far as limits go.

    All loopback addresses are one, and all of an IPv6 network of 64 bits, which one host may use.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            if address.is_loopback:
                return THIS_HOST
            return str(ipaddress.ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return THIS_HOST if address.is_loopback else str(address)


class Connection(RequestHandler):
    """One client's; aiohttp reads its requests."""

    __slots__ = ("_connections", "network")

    def __init__(self, server: Server, connections: Connections) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # no log at all
            keepalive_timeout=IDLE_TIMEOUT,
            lingering_time=BODY_TIMEOUT,
        )
        self._connections = connections
        self.network = ""
        """Whose it is; see `network_of`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read, if there is room."""
        peer = transport.get_extra_info("peername")
        super().connection_made(transport)
        self.network = network_of(peer[0]) if peer else ""  # None where it has gone already
        self._connections.admit(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another."""
        self._connections.forget(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """End it at once."""
        if self.transport is not None:
            self.transport.abort()


class Connections:
    """Those of one gateway, all used in its loop."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._by_network: Counter[str] = Counter()
        self._waiting: dict[Connection, asyncio.TimerHandle] = {}
        """Those that wait for a request, the longest first."""

    def admit(self, new: Connection) -> None:
        """Take a connection in, and end one that waits, or the new one, where that is too many."""
        most = MAX_ON_THIS_HOST if new.network == THIS_HOST else MAX_PER_ADDRESS
        crowded = None
        if self._by_network[new.network] >= most:
            crowded = new.network
        elif len(self._open) >= MAX_CONNECTIONS:
            crowded = self._by_network.most_common(1)[0][0]
        if crowded is not None:
            given_up = next((old for old in self._waiting if old.network == crowded), None)
            if given_up is None:
                new.abort()
                return
            self.forget(given_up)
            given_up.abort()
        self._open.add(new)
        self._by_network[new.network] += 1
        self._wait(new, HEAD_TIMEOUT)

    def forget(self, connection: Connection) -> None:
        """Note that a connection has ended; harmless when repeated."""
        if connection in self._open:
            self._open.remove(connection)
            self._by_network[connection.network] -= 1
            self._by_network += Counter()  # forgets what is at zero
            self.busy(connection)

    def busy(self, connection: Connection) -> None:
        """Note that a request has come."""
        timer = self._waiting.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def idle(self, connection: Connection) -> None:
        """Note that a request was answered."""
        if connection in self._open:
            self._wait(connection, IDLE_TIMEOUT)

    def _wait(self, connection: Connection, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiting[connection] = loop.call_later(seconds, connection.abort)


class Slots:
    """A number of things that may go on at once, of which one network gets only a part."""

    def __init__(self, most: int, per_network: int) -> None:
        self._all = asyncio.Semaphore(most)
        self._per_network = per_network
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def taken(self, network: str) -> AsyncIterator[None]:
        """Wait for a slot and hold it."""
        share = self._shares.setdefault(network, asyncio.Semaphore(self._per_network))
        self._users[network] += 1
        try:
            async with share, self._all:
                yield
        finally:
            self._users[network] -= 1
            if not self._users[network]:
                del self._users[network], self._shares[network]
