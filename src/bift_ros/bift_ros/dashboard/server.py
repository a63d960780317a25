"""The dashboard's server: on loopback, read-only, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

from aiohttp import web

from bift_ros.dashboard.pages import Pages
from bift_ros.dashboard.protection import add_headers, guard
from bift_ros.dashboard.samples import FindDataset
from bift_ros.dashboard.sampling import Sampler
from bift_ros.dashboard.stream import Reading, Stream
from bift_ros.storage.loop import LoopThread

HOST = "127.0.0.1"
"""No other machine is let in: the page may show what vehicles keep to themselves."""


class DashboardError(Exception):
    """The page cannot be served, with the reason and the remedy."""


class Dashboard:
    """Serves the page until it is closed."""

    _stream: Stream | None = None

    def __init__(self, find_dataset: FindDataset, port: int = 0) -> None:
        """Take `port`; 0 takes a free one. Raises DashboardError."""
        self._find_dataset = find_dataset
        try:
            self._socket = socket.create_server((HOST, port))
        except (OSError, OverflowError) as error:
            raise DashboardError(
                f"cannot serve the dashboard on port {port}: {error}. Name another one, or 0 for "
                "any that is free"
            ) from error
        self._port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self._port}/"

    def start(
        self,
        reading: Reading,
        sampler: Sampler | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to serve a fleet's picture.

        `sampler` is what was seen of it before, `clock` the one that the picture's times are of.
        """
        self._loop = LoopThread("dashboard")
        self._loop.run(self._serve(reading, sampler or Sampler(), clock))

    def changed(self) -> None:
        """Tell the pages that the picture has changed; may be called from any thread, early too."""
        if self._stream is not None:
            self._stream.changed()

    def close(self) -> None:
        """End every connection and the thread."""
        if self._stream is None:
            self._socket.close()
            return
        self._stream = None
        self._loop.run(self._shut())
        self._loop.close()

    async def _serve(self, reading: Reading, sampler: Sampler, clock: Callable[[], float]) -> None:
        stream = Stream(reading, sampler, clock)
        app = web.Application(middlewares=[guard(self._port)])
        app.add_routes(Pages(stream, self._find_dataset).routes())
        app.on_response_prepare.append(add_headers)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()
        self._sampling = asyncio.create_task(stream.sample())
        self._stream = stream

    async def _shut(self) -> None:
        self._sampling.cancel()
        await self._runner.cleanup()
