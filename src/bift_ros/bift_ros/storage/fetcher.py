"""Gets files from other vehicles, trusting none of them.

A file's tree is fetched level by level, up to `MAX_IN_FLIGHT` blocks at a time. Each block is
asked of one provider and, where that one fails or lets it wait for `HEDGE_DELAY`, of the next as
well; the first whose bytes match the CID wins. A provider that cannot be reached, lies or breaks
the protocol is not asked again during that fetch.

Providers' URLs come from announcements, so they are untrusted too: only the origin of an http(s)
URL counts, redirects are not followed, no proxy, cookie or decompression is in play.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from bift_ros.storage.blocks import BlockSink, BlockSource
from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.gateway import RAW_TYPE
from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.loop import LoopThread
from bift_ros.storage.unixfs import MAX_BLOCK_SIZE, MAX_FILE_SIZE, Part, levels

log = logging.getLogger(__name__)

MAX_PROVIDERS = 32
"""Providers considered for one file; the rest of a longer list is ignored."""
MAX_URL_LENGTH = 256
"""Characters."""
MAX_IN_FLIGHT = 8
"""Blocks of one file fetched at a time."""
MAX_CONNECTIONS = 64
"""Open connections of one fetcher, all fetches together."""
HEDGE_DELAY = 0.5
"""Seconds after which a block is asked of one more provider."""
REQUEST_TIMEOUT = 10.0
"""Seconds for one block from one provider, from connecting to the last byte."""

_HOST = re.compile(r"[a-z0-9._:-]+")


@dataclass(frozen=True)
class FetchReport:
    """Who gave what during one fetch."""

    served: dict[str, int]
    """Blocks that each provider gave."""
    skipped: dict[str, str]
    """Why each of the other providers, as far as they were tried, gave fewer than asked."""


class _FaultError(Exception):
    """Why a provider did not give a block."""

    def __init__(self, reason: str, lasting: bool = True) -> None:
        super().__init__(reason)
        self.lasting = lasting
        """Whether asking it again during this fetch is pointless."""


@dataclass
class _Provider:
    url: str
    served: int = 0
    failures: int = 0
    in_flight: int = 0
    fault: str | None = None
    gone: bool = False


class Fetcher:
    """Fetches files into a store, for any number of threads at once."""

    def __init__(self, store: BlockSource) -> None:
        self._store = store
        self._loop = LoopThread("fetcher")
        self._disk = ThreadPoolExecutor(MAX_IN_FLIGHT, thread_name_prefix="fetcher-disk")
        self._session = self._loop.run(_open_session())

    def fetch(
        self,
        root: Cid,
        providers: Sequence[str],
        batch: BlockSink,
        timeout: float,
        max_size: int = MAX_FILE_SIZE,
    ) -> FetchReport:
        """Bring every block of a file that isn't here yet into `batch`'s store.

        `timeout` in seconds bounds the whole fetch. Raises `NotFound`, which names each provider
        and what was wrong with it, `InvalidFile` where the blocks make no file of at most
        `max_size` bytes, and `StorageError` where the store fails.
        """
        sources, refused = _sources(providers)

        def skipped() -> dict[str, str]:
            return refused | {s.url: s.fault for s in sources if s.fault is not None}

        fetch = _Fetch(root, sources, self._session, self._on_disk, self._store, batch, max_size)
        try:
            self._loop.run(_within(timeout, fetch.run))
        except NotFound as error:
            reasons = "; ".join(f"{url}: {reason}" for url, reason in skipped().items())
            raise NotFound(f"{error} ({reasons or 'no provider is known'})") from error
        return FetchReport({s.url: s.served for s in sources if s.served}, skipped())

    def close(self) -> None:
        """Abandon what is being fetched; harmless when repeated."""
        if not self._session.closed:
            self._loop.run(self._session.close())
        self._loop.close()
        self._disk.shutdown()

    async def _on_disk(self, work: Callable[[], object]) -> object:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


@dataclass
class _Fetch:
    """One file on its way."""

    root: Cid
    sources: list[_Provider]
    session: aiohttp.ClientSession
    on_disk: Callable[[Callable[[], object]], Awaitable[object]]
    store: BlockSource
    batch: BlockSink
    max_size: int
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_IN_FLIGHT))

    async def run(self) -> None:
        tree = levels(self.root, self.store.get, self.max_size)
        level: object = [Part(self.root, None)]
        while level := await self.on_disk(lambda: next(tree, None)):
            assert isinstance(level, list)
            parts = {part.cid: part for part in level}.values()
            await _all_or_none([self._ensure(part) for part in parts])

    async def _ensure(self, part: Part) -> None:
        """Bring one block into the store unless it is here."""
        cid = part.cid
        async with self.slots:
            if await self.on_disk(lambda: self.batch.hold(cid) and self._is_sound(cid)):
                return
            limit = MAX_BLOCK_SIZE
            if part.size is not None and cid.codec == RAW:
                limit = min(limit, part.size)
            data = await self._from_anyone(cid, limit)
            await self.on_disk(lambda: self.batch.put(cid, data))

    def _is_sound(self, cid: Cid) -> bool:
        try:
            self.store.get(cid)
        except NotFound:
            return False
        return True

    async def _from_anyone(self, cid: Cid, limit: int) -> bytes:
        waiting = sorted(
            (s for s in self.sources if not s.gone), key=lambda s: (s.failures, s.in_flight)
        )
        running: dict[asyncio.Task[bytes], _Provider] = {}
        try:
            while waiting or running:
                if waiting:
                    source = waiting.pop(0)
                    running[asyncio.create_task(self._from_one(source, cid, limit))] = source
                done, _ = await asyncio.wait(
                    running,
                    timeout=HEDGE_DELAY if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    source = running.pop(task)
                    try:
                        data = task.result()
                    except _FaultError as fault:
                        source.failures += 1
                        source.fault = f"{fault} ({cid})"
                        source.gone = source.gone or fault.lasting
                    else:
                        source.served += 1
                        return data
            raise NotFound(f"no provider gave block {cid} of {self.root}")
        finally:
            for task, source in running.items():
                task.cancel()
                source.failures += 1
                source.fault = source.fault or f"slow: others were faster ({cid})"
            await asyncio.gather(*running, return_exceptions=True)

    async def _from_one(self, source: _Provider, cid: Cid, limit: int) -> bytes:
        source.in_flight += 1
        try:
            return await asyncio.wait_for(
                _request(self.session, source.url, cid, limit), REQUEST_TIMEOUT
            )
        except asyncio.TimeoutError:
            raise _FaultError(f"took over {REQUEST_TIMEOUT:g} s for a block") from None
        except aiohttp.ClientConnectorError as error:
            raise _FaultError(f"cannot be reached: {error.strerror or error}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _FaultError(f"broke off: {error or type(error).__name__}") from error
        finally:
            source.in_flight -= 1


async def _request(session: aiohttp.ClientSession, base: str, cid: Cid, limit: int) -> bytes:
    """Ask one provider for one block and check it; raises `_FaultError` for a wrong answer."""
    url = f"{base}/ipfs/{cid}?format=raw"
    headers = {"Accept": RAW_TYPE, "Accept-Encoding": "identity"}
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        if response.status != 200:
            missing = response.status in (404, 410, 429, 503, 504)
            raise _FaultError(f"answered HTTP {response.status}", lasting=not missing)
        if (response.content_length or 0) > limit:
            raise _FaultError(f"offered {response.content_length} bytes where {limit} fit")
        data = bytearray()
        async for piece in response.content.iter_any():
            data += piece
            if len(data) > limit:
                raise _FaultError(f"sent more than the {limit} bytes that fit")
    if not cid.matches(memoryview(data)):
        raise _FaultError("sent bytes that are not the block's")
    return bytes(data)


def _sources(providers: Sequence[str]) -> tuple[list[_Provider], dict[str, str]]:
    """The providers worth asking, and why the others are not."""
    good: dict[str, _Provider] = {}
    refused: dict[str, str] = {}
    for url in providers[:MAX_PROVIDERS]:
        try:
            origin = provider_origin(url)
            good.setdefault(origin, _Provider(origin))
        except StorageError as error:
            refused[str(url)[:MAX_URL_LENGTH]] = str(error)
    return list(good.values()), refused


def provider_origin(url: str) -> str:
    """Check a provider's URL from an announcement; return it as `scheme://host:port`.

    Raises `StorageError`.
    """
    if not isinstance(url, str) or len(url) > MAX_URL_LENGTH:
        raise StorageError(f"a provider's URL is a text of at most {MAX_URL_LENGTH} characters")
    if not (url.isascii() and url.isprintable()):
        raise StorageError("a provider's URL is printable ASCII")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise StorageError(f"not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise StorageError("a provider's URL begins with http:// or https:// and names a host")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise StorageError("a provider's URL is only scheme, host and port")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")


async def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, limit_per_host=MAX_IN_FLIGHT),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # every request runs under wait_for
        auto_decompress=False,
        trust_env=False,
    )


async def _within(timeout: float, work: Callable[[], Awaitable[None]]) -> None:
    try:
        await asyncio.wait_for(work(), timeout)
    except asyncio.TimeoutError:
        raise NotFound(f"the file could not be fetched within {timeout:g} s") from None


async def _all_or_none(work: Sequence[Awaitable[None]]) -> None:
    """Run all at once; when one fails, cancel the others before raising its error."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
