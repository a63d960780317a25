"""Files between vehicles over real HTTP on loopback, honest and otherwise."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiohttp import web

from bift_ros.storage import fetcher
from bift_ros.storage.cidv1 import RAW, Cid, CidError
from bift_ros.storage.dagpb import InvalidFile, Link, encode_node
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.fetcher import provider_origin
from bift_ros.storage.interface import NotFound, Storage, StorageError
from bift_ros.storage.unixfs import blocks_of

Vehicle = Callable[..., EmbeddedStorage]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Provider = Callable[[Handler], str]

DATA = random.Random(5).randbytes(50_000)


def test_a_vehicle_gets_what_another_put_and_then_serves_it(vehicle: Vehicle) -> None:
    a, b, c = vehicle(chunk_size=1000), vehicle(), vehicle()
    cid = a.put(DATA)
    assert b.get(cid, [a.url]) == DATA
    a.close()
    assert b.has(cid)
    assert b.get(cid) == DATA
    assert c.get(cid, [b.url]) == DATA


@pytest.mark.parametrize("data", [b"", b"x", bytes(10_000), DATA], ids=["0", "1", "zeros", "noise"])
def test_files_of_any_shape_travel(vehicle: Vehicle, data: bytes) -> None:
    a, b = vehicle(chunk_size=500), vehicle()
    assert b.get(a.put(data), [a.url]) == data


def test_the_store_is_a_storage(vehicle: Vehicle) -> None:
    store: Storage = vehicle()
    cid = store.put(DATA)
    store.pin(cid)
    store.unpin(cid)
    assert store.has(cid)
    assert store.get(cid) == DATA


def test_what_nobody_has_is_not_found_and_the_error_says_who_was_asked(vehicle: Vehicle) -> None:
    a, b = vehicle(), vehicle()
    absent = str(Cid.of(RAW, b"absent"))
    assert not a.has(absent)
    with pytest.raises(NotFound, match=absent):
        a.get(absent)
    with pytest.raises(NotFound, match=f"{b.url}: answered HTTP 404"):
        a.get(absent, [b.url])
    with pytest.raises(NotFound):
        a.pin(absent)


@pytest.mark.parametrize("method", ["get", "has", "pin", "unpin"])
def test_a_malformed_cid_is_refused_everywhere(vehicle: Vehicle, method: str) -> None:
    with pytest.raises(CidError):
        getattr(vehicle(), method)("../../etc/passwd")


def dead_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def lie(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"not what you asked for")


async def lie_in_length(request: web.Request) -> web.StreamResponse:
    return web.Response(body=bytes(3 * 1024 * 1024))


async def flood(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    while True:
        await answer.write(bytes(65536))


async def truncate(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b"the beginning")
    assert request.transport is not None
    request.transport.close()
    return answer


async def redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/elsewhere")


async def fail(request: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def lack(request: web.Request) -> web.StreamResponse:
    return web.Response(status=404)


async def stall(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


async def drip(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    while True:
        await answer.write(b".")
        await asyncio.sleep(0.05)


FAULTS = [
    (lie, "not the block's"),
    (lie_in_length, "offered 3145728 bytes"),
    (flood, "more than the"),
    (truncate, "broke off"),
    (redirect, "HTTP 302"),
    (fail, "HTTP 500"),
    (lack, "HTTP 404"),
    (stall, "slow"),
    (drip, "slow"),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS, ids=lambda f: getattr(f, "__name__", ""))
def test_a_bad_provider_is_skipped_and_named(
    vehicle: Vehicle,
    provider: Provider,
    fault: Handler,
    reason: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetcher, "HEDGE_DELAY", 0.2)
    a, b = vehicle(chunk_size=1000), vehicle()
    cid = a.put(DATA)
    bad = provider(fault)
    with caplog.at_level(logging.WARNING, logger="bift_ros"):
        assert b.get(cid, [bad, a.url]) == DATA
    (line,) = [r.getMessage() for r in caplog.records if bad in r.getMessage()]
    assert reason in line
    assert cid in line
    assert a.url not in line


@pytest.mark.parametrize(("fault", "reason"), FAULTS[:7], ids=lambda f: getattr(f, "__name__", ""))
def test_only_bad_providers_give_an_error_that_names_them(
    vehicle: Vehicle, provider: Provider, fault: Handler, reason: str
) -> None:
    a = vehicle()
    cid = str(Cid.of(RAW, DATA))
    bad, dead = provider(fault), dead_url()
    with pytest.raises(NotFound) as caught:
        a.get(cid, [bad, dead])
    assert f"{bad}: " in str(caught.value)
    assert reason in str(caught.value)
    assert f"{dead}: cannot be reached" in str(caught.value)
    assert not a.has(cid)


@pytest.mark.parametrize("fault", [stall, drip, flood], ids=lambda f: f.__name__)
def test_time_outs_bound_a_request_and_the_whole(
    vehicle: Vehicle, provider: Provider, fault: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = vehicle()
    cid = str(Cid.of(RAW, bytes(900)))
    bad = provider(fault)
    if fault is not flood:
        with pytest.raises(NotFound, match=r"within 0.2 s.*slow"):
            a.get(cid, [bad], timeout=0.2)
        monkeypatch.setattr(fetcher, "REQUEST_TIMEOUT", 0.2)
        with pytest.raises(NotFound, match=f"{bad}: took over 0.2 s"):
            a.get(cid, [bad])
    else:
        with pytest.raises(NotFound, match="more than the"):
            a.get(cid, [bad])


def test_a_liar_is_asked_only_once(vehicle: Vehicle, provider: Provider) -> None:
    asked: list[str] = []

    async def count_and_lie(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(body=b"no")

    a, b = vehicle(chunk_size=1000), vehicle()
    cid = a.put(DATA)
    assert b.get(cid, [provider(count_and_lie), a.url]) == DATA
    assert asked == [f"/ipfs/{cid}"]


def test_two_halves_make_a_file(vehicle: Vehicle, provider: Provider) -> None:
    blocks = {str(cid): bytes(block) for cid, block in blocks_of(DATA, 1000)}
    cid = list(blocks)[-1]
    names = sorted(blocks)

    def half(parity: int) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            name = request.path.removeprefix("/ipfs/")
            if names.index(name) % 2 != parity:
                raise web.HTTPNotFound
            return web.Response(body=blocks[name])

        return serve

    assert vehicle().get(cid, [provider(half(0)), provider(half(1))]) == DATA


def test_a_broken_tree_is_refused_as_such(vehicle: Vehicle, provider: Provider) -> None:
    chunk = b"three"
    node = encode_node([Link(Cid.of(RAW, chunk), 7, 7)])
    root = Cid(0x70, Cid.of(RAW, node).digest)
    blocks = {str(root): node, str(Cid.of(RAW, chunk)): chunk}

    async def serve(request: web.Request) -> web.StreamResponse:
        return web.Response(body=blocks[request.path.removeprefix("/ipfs/")])

    a = vehicle()
    with pytest.raises(InvalidFile, match="5 bytes where 7"):
        a.get(str(root), [provider(serve)])


def test_a_file_over_the_limit_is_neither_put_nor_fetched(vehicle: Vehicle) -> None:
    a, small = vehicle(chunk_size=1000), vehicle(max_file_size=49_999)
    cid = a.put(DATA)
    with pytest.raises(InvalidFile, match="50000 bytes where 49999"):
        small.get(cid, [a.url])
    with pytest.raises(StorageError, match="49999"):
        small.put(DATA)


def test_many_threads_fetch_many_files_at_once(vehicle: Vehicle) -> None:
    sources = [vehicle(chunk_size=1000) for _ in range(3)]
    files = [random.Random(seed).randbytes(20_000) for seed in range(12)]
    cids = [sources[i % 3].put(data) for i, data in enumerate(files)]
    urls = [source.url for source in sources]
    b = vehicle()
    start = threading.Barrier(12)

    def get(i: int) -> bool:
        start.wait()
        return all(b.get(cids[k % 12], urls) == files[k % 12] for k in range(i, i + 4))

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(get, range(12)))


def test_a_damaged_block_is_fetched_again(vehicle: Vehicle, tmp_path: object) -> None:
    a, b = vehicle(chunk_size=1000), vehicle()
    cid = a.put(DATA)
    assert b.get(cid, [a.url]) == DATA
    name = Cid.of(RAW, DATA[:1000]).digest.hex()
    path = b._blocks._home / "blocks" / name[:2] / name
    path.write_bytes(b"rust")
    assert b.get(cid, [a.url]) == DATA
    assert path.read_bytes() == DATA[:1000]


def test_closing_ends_a_waiting_get(vehicle: Vehicle, provider: Provider) -> None:
    arrived = threading.Event()

    async def tell_and_stall(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await stall(request)

    a = vehicle()
    url = provider(tell_and_stall)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(a.get, str(Cid.of(RAW, b"never")), [url])
        assert arrived.wait(20)
        a.close()
        with pytest.raises(StorageError):
            waiting.result(20)
    with pytest.raises(StorageError, match="closed"):
        a.get(str(Cid.of(RAW, b"never")), [url])


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://127.0.0.1:1", "http"),
        ("file:///etc/passwd", "http"),
        ("127.0.0.1:1", "http"),
        ("", "http"),
        ("http://", "host"),
        ("http://user:secret@127.0.0.1", "only scheme"),
        ("http://127.0.0.1/api/v0", "only scheme"),
        ("http://127.0.0.1?x", "only scheme"),
        ("http://127.0.0.1#x", "only scheme"),
        ("http://127.0.0.1:99999", "URL"),
        ("http://127.0.0.1:port", "URL"),
        ("http://[::1", "URL"),
        ("http://" + "a" * 300, "256"),
        ("http://ünï", "ASCII"),
        ("http://a b", "host"),
        ("http://a\r\nHost: b", "printable"),
        (None, "256"),
    ],
)
def test_providers_urls_are_checked(vehicle: Vehicle, url: str, reason: str) -> None:
    with pytest.raises(StorageError, match=reason):
        provider_origin(url)
    a, b = vehicle(), vehicle()
    cid = a.put(DATA)
    assert b.get(cid, [url, a.url]) == DATA  # and a bad one does not keep the file away


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:40123", "http://127.0.0.1:40123"),
        ("http://127.0.0.1:40123/", "http://127.0.0.1:40123"),
        ("HTTPS://Vehicle-3.local", "https://vehicle-3.local"),
        ("http://[fe80::1]:80", "http://[fe80::1]:80"),
    ],
)
def test_providers_urls_become_origins(url: str, origin: str) -> None:
    assert provider_origin(url) == origin
