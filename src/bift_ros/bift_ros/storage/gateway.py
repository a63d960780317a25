"""Serves this vehicle's blocks to others: the raw part of the IPFS Trustless Gateway.

`GET` and `HEAD /ipfs/{cid}` with `?format=raw` or `Accept: application/vnd.ipld.raw`, as
https://specs.ipfs.tech/http-gateways/trustless-gateway sets out; whoever asks checks the bytes
against the CID. Only what is in the store is served: the gateway fetches nothing for others.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.cidv1 import Cid, CidError
from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.loop import LoopThread

log = logging.getLogger(__name__)

RAW_TYPE = "application/vnd.ipld.raw"

MAX_CONNECTIONS = 256
"""Open connections; one more is closed at once."""
MAX_RESPONSES = 16
"""Blocks in memory at a time; other requests wait for their turn."""
SEND_TIMEOUT = 30.0
"""Seconds that a client may take to receive one block."""
IDLE_TIMEOUT = 30.0
"""Seconds that a connection may stay open between two requests."""


class Gateway:
    """An HTTP server for the blocks of one store, in a thread of its own."""

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
        if advertised_host is None and _is_wildcard(host):
            raise StorageError(
                f"the gateway listens on {host}, every interface: also say advertised_host "
                "(the parameter gateway_advertised_host), the address at which other vehicles "
                "reach this one"
            )
        self._store = store
        self._host = host
        self._port = port
        self._advertised_host = advertised_host or host
        self._loop: LoopThread | None = None
        self._disk = ThreadPoolExecutor(MAX_RESPONSES, thread_name_prefix="gateway-disk")

    @property
    def url(self) -> str:
        """The base URL to announce, such as `http://127.0.0.1:40123`; known once started."""
        host = self._advertised_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    def start(self) -> None:
        """Begin to serve. Raises `StorageError` where the address is taken or not ours."""
        loop = LoopThread("gateway")
        try:
            self._port = loop.run(self._listen())
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

    async def _listen(self) -> int:
        self._slots = asyncio.Semaphore(MAX_RESPONSES)
        app = web.Application()
        app.router.add_get("/ipfs/{cid}", self._serve_block)
        self._runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=IDLE_TIMEOUT, shutdown_timeout=0.5
        )
        await self._runner.setup()
        server = self._runner.server
        assert server is not None

        def connect() -> asyncio.BaseProtocol:
            return _Refusal() if len(server.connections) >= MAX_CONNECTIONS else server()

        try:
            self._listener = await asyncio.get_running_loop().create_server(
                connect, self._host, self._port
            )
        except OSError:
            await self._runner.cleanup()
            raise
        return int(self._listener.sockets[0].getsockname()[1])

    async def _shut(self) -> None:
        self._listener.close()
        await self._runner.cleanup()

    async def _serve_block(self, request: web.Request) -> web.StreamResponse:
        if RAW_TYPE not in request.headers.get("Accept", "") and (
            request.query.get("format") != "raw"
        ):
            raise web.HTTPNotAcceptable(
                text=f"only raw blocks are served: add ?format=raw or Accept: {RAW_TYPE}\n"
            )
        try:
            cid = Cid.parse(request.match_info["cid"])
        except CidError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        headers = {
            "Etag": f'"{cid}.raw"',
            "Cache-Control": "public, max-age=29030400, immutable",
            "Vary": "Accept",
            "X-Ipfs-Path": f"/ipfs/{cid}",
            "X-Ipfs-Roots": str(cid),
        }
        if _has_etag(request, f"{cid}.raw"):
            return web.Response(status=304, headers=headers)
        async with self._slots:
            try:
                block = await asyncio.get_running_loop().run_in_executor(
                    self._disk, self._store.get, cid
                )
            except NotFound as error:
                raise web.HTTPNotFound(
                    text=f"{error}\n", headers={"Cache-Control": "no-store"}
                ) from error
            except StorageError as error:
                log.error("gateway: %s", error)
                raise web.HTTPInternalServerError(text="the store has failed\n") from error
            response = web.Response(
                body=block,
                content_type=RAW_TYPE,
                headers=headers
                | {
                    "Content-Disposition": f'attachment; filename="{cid}.bin"',
                    "X-Content-Type-Options": "nosniff",
                },
            )
            try:
                await asyncio.wait_for(_send(response, request), SEND_TIMEOUT)
            except ConnectionError:
                pass
            except asyncio.TimeoutError:
                if request.transport is not None:
                    request.transport.abort()
            return response


class _Refusal(asyncio.Protocol):
    """The end of one connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


async def _send(response: web.Response, request: web.Request) -> None:
    await response.prepare(request)
    await response.write_eof()


def _has_etag(request: web.Request, tag: str) -> bool:
    """Whether the client says that it holds this very block (RFC 9110, weak comparison)."""
    return any(held.value in (tag, "*") for held in request.if_none_match or ())


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == ""
