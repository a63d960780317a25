"""What a gateway's clients share: answers at a time, and requests and bytes a second."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from bift_ros.limits.token_bucket import Bucket, Rate
from bift_ros.storage.connections import THIS_HOST, Connection

MAX_SHARES = 4096
"""Addresses of which is known what they have had lately."""


class Slots:
    """A number of things that may go on at once, of which one network gets only a part.

    So do all those together that are not members.
    """

    def __init__(self, most: int, of_others: int, per_network: int) -> None:
        self._all = asyncio.Semaphore(most)
        self._of_others = asyncio.Semaphore(of_others)
        self._per_network = per_network
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def taken(self, connection: Connection) -> AsyncIterator[None]:
        """Wait for a slot and hold it."""
        network = connection.network
        share = self._shares.setdefault(network, asyncio.Semaphore(self._per_network))
        self._users[network] += 1
        try:
            async with AsyncExitStack() as held:
                await held.enter_async_context(share)
                if not connection.is_member:
                    await held.enter_async_context(self._of_others)
                await held.enter_async_context(self._all)
                yield
        finally:
            self._users[network] -= 1
            if not self._users[network]:
                del self._users[network], self._shares[network]


class Rates(NamedTuple):
    """What somebody may have in the long run; for a second, as much at once."""

    requests: float
    """A second."""
    bytes: float
    """A second, of blocks and files."""


MEMBER = Rates(500, 128 << 20)
STRANGER = Rates(50, 8 << 20)
STRANGERS = Rates(200, 32 << 20)
"""All of them together."""
ON_THIS_HOST = Rates(30 * MEMBER.requests, 30 * MEMBER.bytes)
"""A whole fleet, perhaps."""


class _Account:
    """One's own share of requests and bytes: what was had beyond it is waited for."""

    def __init__(self, rates: Rates) -> None:
        # A second's share at once.
        self._requests, self._bytes = (Bucket(Rate(most, most)) for most in rates)

    def wait(self, now: float, requests: int, count: int) -> float:
        """Take so many of each; the seconds until both are paid for."""
        longest = 0.0
        for bucket, amount in ((self._requests, requests), (self._bytes, count)):
            bucket.holds(amount, now)
            bucket.take(amount)
            longest = max(longest, bucket.seconds_owed)
        return longest

    def is_full(self, now: float) -> bool:
        """Whether nothing of it was taken lately."""
        return self._requests.is_full(now) and self._bytes.is_full(now)


class Throttle:
    """Has clients wait who ask for more than their share, each network by itself."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, bool], _Account] = {}
        self._strangers = _Account(STRANGERS)

    async def request(self, connection: Connection) -> None:
        """Wait until a request may be answered."""
        await self._take(connection, 1, 0)

    async def sent(self, connection: Connection, count: int) -> None:
        """Note bytes that were sent, and wait until more may be."""
        connection.sent += count
        await self._take(connection, 0, count)

    async def _take(self, connection: Connection, requests: int, count: int) -> None:
        now = asyncio.get_running_loop().time()
        wait = self._account(connection, now).wait(now, requests, count)
        if connection.is_strange:
            wait = max(wait, self._strangers.wait(now, requests, count))
        if wait > 0.0:
            await asyncio.sleep(wait)

    def _account(self, connection: Connection, now: float) -> _Account:
        key = connection.network, connection.is_member
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= MAX_SHARES:
                kept = {k: a for k, a in self._accounts.items() if not a.is_full(now)}
                self._accounts = kept
            account = self._accounts[key] = _Account(_rates_of(connection))
        return account


def _rates_of(connection: Connection) -> Rates:
    if connection.network == THIS_HOST:
        return ON_THIS_HOST
    return MEMBER if connection.is_member else STRANGER
