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

from bift_ros.dashboard.changes import Delta, Position, delta
from bift_ros.dashboard.documents import Document, document
from bift_ros.dashboard.sampling import Sampler
from bift_ros.monitoring.view import FleetView

Reading = Callable[[], AbstractContextManager[FleetView]]
"""Holds the fleet's picture still for as long as the context lasts."""

PAUSE_SECONDS = 0.1
"""Between two events: ten a second are more than an eye needs."""
SAMPLE_SECONDS = 1.0


class Stream:
    """The fleet's changes, for any number of readers. Made and used in one event loop."""

    def __init__(self, reading: Reading, sampler: Sampler, clock: Callable[[], float]) -> None:
        self._reading, self._clock = reading, clock
        self._sampler, self._sampler_lock = sampler, threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._change = asyncio.Event()

    def changed(self) -> None:
        """The picture has changed; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._wake)

    async def sample(self) -> None:
        """Look at the fleet's traffic and health once a second, for ever."""
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
        return document(self._delta(Position()), True, self._clock())

    def _encoded(self, since: Position) -> tuple[bytes, Position]:
        found = self._delta(since)
        if found.position == since:
            return b"", since
        told = document(found, since == Position(), self._clock())
        return json.dumps(told, separators=(",", ":")).encode(), found.position

    def _delta(self, since: Position) -> Delta:
        with self._reading() as view, self._sampler_lock:
            return delta(view, self._sampler, since)

    def _sample(self) -> None:
        with self._reading() as view, self._sampler_lock:
            self._sampler.sample(view, self._clock())

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()
