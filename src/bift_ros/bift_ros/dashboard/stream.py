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

from bift_ros.dashboard.changes import News, Position, news
from bift_ros.dashboard.documents import Document, document
from bift_ros.dashboard.watch import Watch
from bift_ros.monitoring.view import FleetView

Reading = Callable[[], AbstractContextManager[FleetView]]
"""Holds the fleet's picture still for as long as the context lasts."""

PAUSE_SECONDS = 0.1
"""Between two events: ten a second are more than an eye needs."""
WATCH_SECONDS = 1.0


class Stream:
    """The fleet's changes, for any number of readers. Made and used in one event loop."""

    def __init__(self, reading: Reading, watch: Watch, clock: Callable[[], float]) -> None:
        self._reading, self._clock = reading, clock
        self._watch, self._watch_lock = watch, threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._change = asyncio.Event()

    def changed(self) -> None:
        """The picture has changed; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._wake)

    async def watch(self) -> None:
        """Look at the fleet's traffic and health once a second, for ever."""
        while True:
            await asyncio.to_thread(self._look)
            self._wake()
            await asyncio.sleep(WATCH_SECONDS)

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
        return document(self._news(Position()), True, self._clock())

    def _encoded(self, since: Position) -> tuple[bytes, Position]:
        found = self._news(since)
        if found.position == since:
            return b"", since
        told = document(found, since == Position(), self._clock())
        return json.dumps(told, separators=(",", ":")).encode(), found.position

    def _news(self, since: Position) -> News:
        with self._reading() as view, self._watch_lock:
            return news(view, self._watch, since)

    def _look(self) -> None:
        with self._reading() as view, self._watch_lock:
            self._watch.look(view, self._clock())

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()
