"""The stream of server-sent events that keeps a page current.

Each reader pulls what is new since its own position, so nothing queues up for one that is slow: it
gets later, and at once, what it has missed.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

from bift_ros.dashboard.changes import Position, news
from bift_ros.dashboard.documents import Document, document
from bift_ros.dashboard.traffic import Traffic
from bift_ros.monitoring.view import FleetView

Reading = Callable[[], AbstractContextManager[FleetView]]
"""Holds the fleet's picture still for as long as the context lasts."""

PAUSE_SECONDS = 0.1
"""Between two events: ten a second are more than an eye needs."""
SAMPLE_SECONDS = 1.0


class Stream:
    """The fleet's changes, for any number of readers. Made and used in one event loop."""

    def __init__(self, reading: Reading, traffic: Traffic, clock: Callable[[], float]) -> None:
        self._reading, self._clock = reading, clock
        self._traffic, self._traffic_lock = traffic, threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._change = asyncio.Event()

    def changed(self) -> None:
        """The picture has changed; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._wake)

    async def sample_traffic(self) -> None:
        """Look at what goes through the network once a second, for ever."""
        while True:
            await asyncio.to_thread(self._sample)
            self._wake()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def events(self) -> AsyncIterator[bytes]:
        """Everything that is known, then whatever changes, for ever."""
        position = Position()
        while True:
            # Taken before reading: what comes in between is not missed.
            change = self._change
            text, position = await asyncio.to_thread(self._encoded, position)
            if text:
                yield b"data: " + text + b"\n\n"
                await asyncio.sleep(PAUSE_SECONDS)
            await change.wait()

    def state(self) -> Document:
        """Everything that is known."""
        found, _ = self._news(Position())
        assert found is not None
        return found

    def _encoded(self, since: Position) -> tuple[bytes, Position]:
        found, position = self._news(since)
        return json.dumps(found, separators=(",", ":")).encode() if found else b"", position

    def _news(self, since: Position) -> tuple[Document | None, Position]:
        whole = since == Position()
        with self._reading() as view, self._traffic_lock:
            found = news(view, self._traffic, since)
        if found is None:
            return None, since
        return document(found, whole, self._clock()), found.position

    def _sample(self) -> None:
        with self._reading() as view, self._traffic_lock:
            self._traffic.sample(view, self._clock())

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()
