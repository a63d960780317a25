"""The gateway's answers: a block, an archive, a file or a range of one."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import BinaryIO, TypeVar
from weakref import WeakKeyDictionary

from aiohttp import web

from bift_ros.limits.limited_log import LimitedLog
from bift_ros.storage.block_request import RAW_TYPE
from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.byte_ranges import AVAILABLE
from bift_ros.storage.car import CAR_TYPE, car_block, car_header, depth_first
from bift_ros.storage.cidv1 import RAW, Cid, CidError
from bift_ros.storage.connections import Connection
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.errors import NotFound, StorageError
from bift_ros.storage.request_headers import (
    answer_headers,
    entity_bytes,
    has_etag,
    range_headers,
    wanted_format,
    wanted_range,
)
from bift_ros.storage.shares import Slots, Throttle
from bift_ros.storage.traffic import ByteCount
from bift_ros.storage.unixfs import MAX_PARTS

log = logging.getLogger(__name__)

SEND_TIMEOUT = 10.0
"""Seconds that a client may take to receive one block, or one window of a file."""
MIN_WINDOW, MAX_WINDOW, STRANGERS_WINDOW = 1 << 16, 8 << 20, 1 << 20
"""Bytes of a file that are sent at a time: about what the client takes in a second."""
MAX_ARCHIVE_BLOCKS = 2 * MAX_PARTS
"""Of one archive: the chunks and the nodes of the largest file."""
EMPTY_CID = "bafkqaaa"
"""The empty block with its content in the CID, which IPFS nodes ask for to try a gateway."""

T = TypeVar("T")


class Responder:
    """Answers requests for what is in one store."""

    def __init__(
        self,
        store: BlockStore,
        disk: ThreadPoolExecutor,
        slots: Slots,
        archives: Slots,
        throttle: Throttle,
        served: ByteCount,
    ) -> None:
        self._store = store
        self._disk = disk
        self._slots = slots
        self._archives = archives
        self._throttle = throttle
        self._served = served
        self._failed = LimitedLog(log.error)
        self._windows: WeakKeyDictionary[asyncio.Transport, int] = WeakKeyDictionary()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve `/ipfs/{cid}`."""
        wanted = wanted_format(request)
        text = request.match_info["cid"]
        if text == EMPTY_CID:
            return web.Response(body=b"", content_type=RAW_TYPE)
        try:
            cid = Cid.parse(text)
        except CidError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        try:
            if wanted == "raw":
                return await self._block(request, cid, RAW_TYPE, f"{cid}.raw", f"{cid}.bin")
            if wanted == "car":
                return await self._archive(request, cid)
            return await self._file(request, cid)
        except NotFound as error:
            headers = {"Cache-Control": "no-store"} | self._available(cid)
            raise web.HTTPNotFound(text=f"{error}\n", headers=headers) from error
        except ConnectionError:  # the client has gone
            _abort(request)
            return web.Response()
        except InvalidFile as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        except StorageError as error:
            self._failed(f"gateway: {error}")
            raise web.HTTPInternalServerError(text="the store has failed\n") from error

    # -- one block

    async def _block(
        self, request: web.Request, cid: Cid, kind: str, tag: str, name: str
    ) -> web.StreamResponse:
        headers = answer_headers(cid, f'"{tag}"', name)
        if has_etag(request, tag):
            return web.Response(status=304, headers=headers)
        async with self._slots.taken(connection_of(request)):
            block = await self._in_thread(lambda: self._store.get(cid))
            start, stop = wanted_range(request, len(block), tag)
            response = web.Response(
                status=200 if stop is None else 206,
                body=block[start:stop],
                content_type=kind,
                headers=headers | range_headers(start, stop, len(block)),
            )
            sent = await _send(request, _whole(response, request)) and request.method == "GET"
        await self._note_sent(request, len(block[start:stop]) if sent else 0)
        return response

    # -- a file

    async def _file(self, request: web.Request, cid: Cid) -> web.StreamResponse:
        kind = "application/octet-stream"
        if cid.codec == RAW:
            return await self._block(request, cid, kind, str(cid), str(cid))
        headers = answer_headers(cid, f'"{cid}"', str(cid))
        if has_etag(request, str(cid)):
            return web.Response(status=304, headers=headers)
        file = await self._in_thread(lambda: _open(self._store, cid))
        try:
            size = os.fstat(file.fileno()).st_size
            start, stop = wanted_range(request, size, str(cid))
            end = size if stop is None else stop
            if not self._store.covers(cid, start, end):
                raise NotFound(f"{cid} is not, or not wholly, in this store")
            response = web.StreamResponse(
                status=200 if stop is None else 206,
                headers=headers | range_headers(start, stop, size) | self._available(cid),
            )
            response.content_type = kind
            response.content_length = end - start
            await response.prepare(request)
            if request.method == "GET":
                await self._send_file(request, response, file, start, end)
            return response
        finally:
            file.close()

    async def _send_file(
        self,
        request: web.Request,
        response: web.StreamResponse,
        file: BinaryIO,
        start: int,
        end: int,
    ) -> None:
        """Let the kernel copy a range of a file to the client."""
        loop = asyncio.get_running_loop()
        transport = request.transport
        if transport is None:
            return
        await response.write(b"")  # the head goes first
        at = start
        most = STRANGERS_WINDOW if connection_of(request).is_strange else MAX_WINDOW
        while at < end:
            window = min(self._windows.get(transport, MIN_WINDOW), most, end - at)
            begun = loop.time()
            sent = await _send(request, loop.sendfile(transport, file, at, window))
            pace = window / max(loop.time() - begun, 1e-3)
            await self._note_sent(request, sent)
            if sent != window:
                _abort(request)  # the file is shorter than it was
                return
            self._windows[transport] = max(MIN_WINDOW, min(MAX_WINDOW, int(pace)))
            at += window

    # -- an archive

    async def _archive(self, request: web.Request, cid: Cid) -> web.StreamResponse:
        scope = request.query.get("dag-scope", "all")
        if scope not in ("all", "entity", "block"):
            raise web.HTTPBadRequest(text=f"dag-scope={scope[:20]}: all, entity or block\n")
        start, stop = entity_bytes(request) if scope == "entity" else (0, None)
        tag = hashlib.sha256(f"{cid}.{scope}.{start}.{stop}".encode()).hexdigest()[:16]
        headers = answer_headers(cid, f'W/"{cid}.car.{tag}"', f"{cid}.car") | {
            "Content-Type": f"{CAR_TYPE}; version=1; order=dfs; dups=n",
            "Accept-Ranges": "none",
        }
        if has_etag(request, f"{cid}.car.{tag}"):
            return web.Response(status=304, headers=headers)
        async with self._archives.taken(connection_of(request)):
            blocks = await self._in_thread(lambda: self._listed(cid, scope, start, stop))
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            if request.method == "GET":
                await self._send_archive(request, response, cid, blocks)
        return response

    async def _send_archive(
        self,
        request: web.Request,
        response: web.StreamResponse,
        cid: Cid,
        blocks: Sequence[Cid],
    ) -> None:
        sent = await _send(request, _written(response, car_header(cid)))
        for block in blocks:
            if not sent:
                break
            async with self._slots.taken(connection_of(request)):
                try:
                    data = await self._in_thread(partial(self._store.get, block))
                except StorageError as error:
                    self._failed(f"gateway: {error}")
                    _abort(request)  # the client sees that the archive is cut off
                    break
                sent = await _send(request, _written(response, car_block(block, data)))
            await self._note_sent(request, len(data) if sent else 0)

    def _listed(self, root: Cid, scope: str, start: int, stop: int | None) -> list[Cid]:
        """The blocks that an archive holds; raises `NotFound` where one isn't here.

        Raises `InvalidFile` for more than a file's tree has.
        """
        if scope == "block":
            blocks = [root]
        else:
            found = depth_first(root, self._store.get, start, stop)
            blocks = list(islice(found, MAX_ARCHIVE_BLOCKS + 1))
            if len(blocks) > MAX_ARCHIVE_BLOCKS:
                raise InvalidFile(f"{root} links over {MAX_ARCHIVE_BLOCKS} blocks")
        for block in blocks:
            if not self._store.has_block(block):
                raise NotFound(f"block {block} of {root} is not in this store")
        return blocks

    def _available(self, root: Cid) -> dict[str, str]:
        """Tells those who fetch the same file what is here of it."""
        ranges = self._store.received(root)
        return {} if ranges is None else {AVAILABLE: str(ranges)}

    async def _note_sent(self, request: web.Request, count: int) -> None:
        self._served.add(count)
        await self._throttle.sent(connection_of(request), count)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


def connection_of(request: web.Request) -> Connection:
    """The connection on which a request came."""
    connection = request.protocol
    assert isinstance(connection, Connection)
    return connection


def _open(store: BlockStore, root: Cid) -> BinaryIO:
    try:
        return store.path("files", root).open("rb")
    except FileNotFoundError:
        raise NotFound(f"{root} is not a file in this store") from None
    except OSError as error:
        raise StorageError(f"{root} cannot be read: {error}") from error


async def _whole(response: web.Response, request: web.Request) -> bool:
    await response.prepare(request)
    await response.write_eof()
    return True


async def _written(response: web.StreamResponse, data: bytes) -> bool:
    await response.write(data)
    return True


async def _send(request: web.Request, sending: Awaitable[int]) -> int:
    """What `sending` gives, or 0 where the client does not take it: then its connection ends."""
    try:
        return await asyncio.wait_for(sending, SEND_TIMEOUT)
    except (ConnectionError, asyncio.TimeoutError, RuntimeError):
        _abort(request)
        return 0


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
