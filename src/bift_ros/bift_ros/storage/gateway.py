"""Serves this vehicle's files to others: the IPFS Trustless Gateway protocol, and plain files.

`GET` and `HEAD /ipfs/{cid}` give, as https://specs.ipfs.tech/http-gateways/trustless-gateway and
`/path-gateway` set out,

- one block with `?format=raw` or `Accept: application/vnd.ipld.raw`,
- a CAR archive of a file with `?format=car` or `Accept: application/vnd.ipld.car`, with
  `dag-scope` and `entity-bytes`,
- else the file itself, or the ranges of it that have come already, for people with `curl` and for
  vehicles that know the hashes of the chunks.

Whoever asks checks the bytes against the CID: only blocks asked for one by one, or in an archive,
were checked before they are sent. Only what is in the store is served: the gateway fetches nothing
for others. No address takes all connections, answers or bytes, and members of the fleet go before
strangers (`connections`, `shares`).
"""

from __future__ import annotations

import asyncio
import logging
import resource
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web
from aiohttp.typedefs import Handler

from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.connections import MAX_CONNECTIONS, Connection, Connections
from bift_ros.storage.errors import StorageError
from bift_ros.storage.gateway_urls import gateway_url
from bift_ros.storage.loop import LoopThread
from bift_ros.storage.members import MemberAddresses
from bift_ros.storage.responses import Responder, connection_of
from bift_ros.storage.shares import Slots, Throttle
from bift_ros.storage.traffic import ByteCount

log = logging.getLogger(__name__)

MAX_RESPONSES, RESPONSES_OF_OTHERS, RESPONSES_PER_ADDRESS = 20, 16, 12
"""Blocks in memory at a time, those of them for others than members, and those for one address;
other requests wait for their turn."""
MAX_ARCHIVES, ARCHIVES_OF_OTHERS, ARCHIVES_PER_ADDRESS = 4, 3, 2
"""CAR archives at a time, whose lists of blocks are in memory; likewise."""
OPEN_FILES = 2 * MAX_CONNECTIONS + 512
"""That a process may need: a socket and a file for each connection, and its own."""


class Gateway:
    """An HTTP server for one store, in a thread of its own."""

    def __init__(
        self,
        store: BlockStore,
        host: str = "127.0.0.1",
        port: int = 0,
        advertised_host: str | None = None,
    ) -> None:
        """Prepare a server on `host`; port 0 takes a free one.

        `advertised_host` is the name or address by which others reach this vehicle; it is needed
        where `host` is 0.0.0.0 or ::, which no one can connect to.
        """
        self._store = store
        self._host = host
        self._port = port
        self._advertised_host = advertised_host or host
        gateway_url(self._advertised_host, port)  # says so where nobody can connect to it
        self._loop: LoopThread | None = None
        self.served = ByteCount()
        """Of blocks, without heads."""
        self._disk = ThreadPoolExecutor(MAX_RESPONSES, thread_name_prefix="gateway-disk")

    @property
    def url(self) -> str:
        """The base URL to announce, such as `http://127.0.0.1:40123`; known once started."""
        return gateway_url(self._advertised_host, self._port)

    def start(self, members: MemberAddresses | None = None) -> None:
        """Begin to serve, `members` before others.

        Raises `StorageError` where the address is taken or not ours.
        """
        _allow_open_files()
        loop = LoopThread("gateway")
        try:
            self._port = loop.run(self._listen(members or MemberAddresses()))
        except OSError as error:
            loop.close()
            raise StorageError(
                f"the gateway cannot listen on {self._host} port {self._port}: {error.strerror}"
            ) from error
        self._loop = loop

    def stop(self) -> None:
        """End every connection and the thread; harmless when repeated."""
        if self._loop is not None:
            self._loop.run(self._shut())
            self._loop.close()
            self._loop = None
            self._disk.shutdown()

    async def _listen(self, members: MemberAddresses) -> int:
        connections, throttle = Connections(members), Throttle()
        slots = Slots(MAX_RESPONSES, RESPONSES_OF_OTHERS, RESPONSES_PER_ADDRESS)
        archives = Slots(MAX_ARCHIVES, ARCHIVES_OF_OTHERS, ARCHIVES_PER_ADDRESS)
        responder = Responder(self._store, self._disk, slots, archives, throttle, self.served)

        @web.middleware
        async def note_request(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = connection_of(request)
            await throttle.request(connection)
            connections.busy(connection)
            try:
                return await handler(request)
            finally:
                connections.idle(connection)

        app = web.Application(middlewares=[note_request])
        app.router.add_get("/ipfs/{cid}", responder.answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.5)
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: Connection(server, connections), self._host, self._port
            )
        except OSError:
            await self._runner.cleanup()
            raise
        return int(self._listener.sockets[0].getsockname()[1])

    async def _shut(self) -> None:
        self._listener.close()
        await self._runner.cleanup()


def _allow_open_files() -> None:
    """Raise this process's own limit, which may be as low as 1,024, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
