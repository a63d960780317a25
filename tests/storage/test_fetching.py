"""Files between vehicles over real HTTP on loopback, honest and otherwise."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from bift_ros.storage import block_request, fetch
from bift_ros.storage.cid import cid_of
from bift_ros.storage.cidv1 import RAW, Cid, CidError
from bift_ros.storage.dagpb import InvalidFile, Link, encode_node
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.gateway_urls import provider_origin
from bift_ros.storage.interface import NotFound, Storage, StorageError
from bift_ros.storage.traffic import Traffic
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


def test_a_store_counts_what_it_fetches_and_serves(vehicle: Vehicle) -> None:
    a, b, c = vehicle(chunk_size=1000), vehicle(), vehicle()
    small, large = a.put(DATA[:100]), a.put(DATA)
    assert a.traffic == Traffic()
    b.get(small, [a.url])
    assert (a.traffic, b.traffic) == (Traffic(served=100), Traffic(fetched=100))
    b.get(large, [a.url])
    blocks = sum(len(block) for _, block in blocks_of(DATA, 1000))
    assert b.traffic == Traffic(fetched=100 + blocks)
    assert a.traffic == Traffic(served=100 + blocks)
    c.get(large, [b.url])
    assert b.traffic == Traffic(fetched=100 + blocks, served=c.traffic.fetched)


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


async def full(request: web.Request) -> web.StreamResponse:
    return web.Response(status=503)


async def drip_head(request: web.Request) -> web.StreamResponse:
    """A head that never ends, a byte at a time."""
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not request.transport.is_closing():
        request.transport.write(b".")
        await asyncio.sleep(0.05)
    return web.Response()


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
    (drip_head, "slow"),
    (full, "HTTP 503"),
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
    monkeypatch.setattr(fetch, "HEDGE_DELAY", 0.2)
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


@pytest.mark.parametrize("fault", [stall, drip, drip_head, flood], ids=lambda f: f.__name__)
def test_time_outs_bound_a_request_and_the_whole(
    vehicle: Vehicle, provider: Provider, fault: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = vehicle()
    cid = str(Cid.of(RAW, bytes(900)))
    bad = provider(fault)
    if fault is not flood:
        with pytest.raises(NotFound, match=r"within 0.2 s.*slow"):
            a.get(cid, [bad], timeout=0.2)
        monkeypatch.setattr(block_request, "REQUEST_TIMEOUT", 0.2)
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


def damage(store: EmbeddedStorage, cid: str, at: int) -> None:
    path = store._blocks.path("files", Cid.parse(cid))
    times = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"rust")
    os.utime(path, ns=(times, times))


def test_a_damaged_block_alone_is_fetched_again(vehicle: Vehicle, provider: Provider) -> None:
    a, b = vehicle(chunk_size=1000), vehicle()
    cid = a.put(DATA)
    assert b.get(cid, [a.url]) == DATA
    damage(b, cid, 1500)
    asked, url = counted(provider, a)
    assert b.get(cid, [url]) == DATA
    assert asked == [f"/ipfs/{Cid.of(RAW, DATA[1000:2000])}?format=raw"]
    assert b.has(cid)


def counted(provider: Provider, source: EmbeddedStorage) -> tuple[list[str], str]:
    """What is asked of a provider that passes everything on to another store."""
    asked: list[str] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        return await relay(request, source.url)

    return asked, provider(serve)


async def relay(request: web.Request, url: str) -> web.StreamResponse:
    names = ("Range", "Accept")
    headers = {name: request.headers[name] for name in names if name in request.headers}
    async with ClientSession(url) as session, session.get(request.path_qs, headers=headers) as got:
        kept = {k: v for k, v in got.headers.items() if k in ("Content-Range", "Etag")}
        return web.Response(status=got.status, body=await got.read(), headers=kept)


def test_a_file_on_disk_travels(vehicle: Vehicle, tmp_path: Path) -> None:
    a, b = vehicle(chunk_size=1000), vehicle()
    shared, target = tmp_path / "shared", tmp_path / "target"
    shared.write_bytes(DATA)
    target.write_bytes(b"what was here before")
    cid = a.put_file(shared)
    assert cid == cid_of(DATA, 1000)
    b.get_file(cid, target, [a.url])
    assert target.read_bytes() == DATA
    a.close()
    assert b.has(cid)
    assert b.get(cid) == DATA
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"shared", "target"}


@pytest.mark.parametrize("data", [b"", b"x", bytes(10_000), DATA], ids=["0", "1", "zeros", "noise"])
def test_files_on_disk_of_any_shape_travel(vehicle: Vehicle, data: bytes, tmp_path: Path) -> None:
    a, b = vehicle(chunk_size=500), vehicle()
    path = tmp_path / "file"
    path.write_bytes(data)
    cid = a.put_file(path)
    b.get_file(cid, path, [a.url])
    assert path.read_bytes() == data
    assert b.get(cid) == data


def test_a_file_over_the_limit_for_models_is_shared_all_the_same(
    vehicle: Vehicle, tmp_path: Path
) -> None:
    a = vehicle(chunk_size=1000, max_file_size=10_000)
    b = vehicle(max_file_size=10_000)
    path = tmp_path / "file"
    path.write_bytes(DATA)
    cid = a.put_file(path)
    b.get_file(cid, path, [a.url])
    assert path.read_bytes() == DATA
    with pytest.raises(InvalidFile, match="10000"):
        b.get(cid)


def test_what_is_over_the_cap_is_refused(vehicle: Vehicle, tmp_path: Path) -> None:
    a, b = vehicle(chunk_size=1000), vehicle(max_bytes=40_000)
    cid = a.put(DATA)
    with pytest.raises(StorageError, match="40000"):
        b.get_file(cid, tmp_path / "file", [a.url])
    assert not (tmp_path / "file").exists()
    (tmp_path / "big").write_bytes(DATA)
    with pytest.raises(StorageError, match="full"):
        b.put_file(tmp_path / "big")


@pytest.mark.parametrize("what", ["absent", "folder", "pipe"])
def test_what_cannot_be_shared_is_named(vehicle: Vehicle, tmp_path: Path, what: str) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
        keep = os.open(path, os.O_RDWR)
    with pytest.raises(StorageError, match=str(path)):
        vehicle().put_file(path)
    if what == "pipe":
        os.close(keep)


def test_where_nothing_can_be_written_is_named(vehicle: Vehicle, tmp_path: Path) -> None:
    a = vehicle()
    cid = a.put(DATA)
    with pytest.raises(StorageError, match="no-such-folder"):
        a.get_file(cid, tmp_path / "no-such-folder" / "file")


def test_changing_a_fetched_file_in_place_takes_it_from_the_store_alone(
    vehicle: Vehicle, tmp_path: Path
) -> None:
    a, b, c = vehicle(chunk_size=1000), vehicle(), vehicle()
    cid = a.put(DATA)
    first, second = tmp_path / "first", tmp_path / "second"
    b.get_file(cid, first, [a.url])
    b.get_file(cid, second)
    assert first.stat().st_nlink == 2  # the store's and this one
    assert second.stat().st_nlink == 1
    with first.open("r+b") as file:
        file.write(b"mine")
    assert not b.has(cid)
    assert second.read_bytes() == DATA
    with pytest.raises(NotFound):
        c.get(cid, [b.url])
    asked = tmp_path / "third"
    b.get_file(cid, asked, [a.url])
    assert asked.read_bytes() == DATA
    assert first.read_bytes() == b"mine" + DATA[4:]
    assert c.get(cid, [b.url]) == DATA


def test_a_transfer_that_broke_off_goes_on_after_a_restart(
    vehicle: Vehicle, provider: Provider, tmp_path: Path
) -> None:
    a = vehicle(chunk_size=1000)
    cid = a.put(DATA)
    served = 0

    async def break_off(request: web.Request) -> web.StreamResponse:
        nonlocal served
        served += "Range" in request.headers
        if served > 3:
            raise web.HTTPInternalServerError
        return await relay(request, a.url)

    home, target = tmp_path / "b", tmp_path / "file"
    with EmbeddedStorage(home) as b, pytest.raises(NotFound, match="HTTP 500"):
        b.get_file(cid, target, [provider(break_off)])
    assert not target.exists()
    asked, url = counted(provider, a)
    with EmbeddedStorage(home) as b:
        assert not b.has(cid)
        here = [c for c, _ in blocks_of(DATA, 1000) if b._blocks.has_block(c)]
        assert here == []  # what a killed process left is hashed before it is believed
        b.get_file(cid, target, [url])
    assert target.read_bytes() == DATA
    assert f"/ipfs/{cid}?format=raw" not in asked  # the tree had come
    assert 0 < len(ranges_of(asked)) + sum("raw" in path for path in asked) < 50


def ranges_of(asked: list[str]) -> list[str]:
    return [path for path in asked if "format" not in path]


def test_a_resumed_transfer_fetches_only_what_is_missing(
    vehicle: Vehicle, provider: Provider, tmp_path: Path
) -> None:
    a, b = vehicle(chunk_size=1000), vehicle()
    cid = a.put(DATA)
    blocks = {str(c): bytes(block) for c, block in blocks_of(DATA, 1000)}
    leaves = [name for name in blocks if name != cid]
    given: list[str] = []

    async def some(request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix("/ipfs/")
        if "format" not in request.query or len(given) == 20:
            raise web.HTTPNotFound
        given.append(name)
        return web.Response(body=blocks[name])

    with pytest.raises(NotFound, match="HTTP 404"):
        b.get_file(cid, tmp_path / "file", [provider(some)])
    assert len(given) == 20

    async def rest(request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix("/ipfs/")
        if "format" not in request.query:
            raise web.HTTPNotFound
        asked.append(name)
        return web.Response(body=blocks[name])

    asked: list[str] = []
    told: list[tuple[int, int]] = []
    b.get_file(
        cid, tmp_path / "file", [provider(rest)], on_progress=lambda *bytes_: told.append(bytes_)
    )
    assert (tmp_path / "file").read_bytes() == DATA
    assert sorted(asked) == sorted(set(leaves) - set(given))
    assert min(told) == (sum(len(blocks[name]) for name in {*leaves} & {*given}), len(DATA))
    assert max(told) == (len(DATA), len(DATA))
    assert len(set(told)) > 10


def test_who_lies_on_every_tenth_block_is_named(
    vehicle: Vehicle, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = vehicle(chunk_size=1000), vehicle()
    data = random.Random(6).randbytes(300_000)
    cid = a.put(data)
    tree = [str(c) for c, _ in blocks_of(data, 1000)]

    async def mostly_honest(request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix("/ipfs/")
        answer = await relay(request, a.url)
        assert isinstance(answer, web.Response)
        assert isinstance(answer.body, bytes)
        if "format" in request.query:
            if tree.index(name) % 10 == 9:
                answer.body = b"lies"
        else:
            first = int(request.headers["Range"].split("=")[1].split("-")[0])
            body = bytearray(answer.body)
            for at in range(0, len(body), 1000):
                if (first + at) // 1000 % 10 == 9:
                    body[at] ^= 1
            answer.body = bytes(body)
        return answer

    liar = provider(mostly_honest)
    with caplog.at_level(logging.WARNING, logger="bift_ros"):
        assert b.get(cid, [liar, a.url]) == data
    (line,) = [r.getMessage() for r in caplog.records if liar in r.getMessage()]
    assert "not the block's" in line
    with pytest.raises(NotFound, match=f"{liar}: sent bytes that are not"):
        vehicle().get(cid, [liar])


def test_one_of_many_providers_hangs_in_the_middle(
    vehicle: Vehicle, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    """It serves the tree, then each stretch to its first half and no further."""
    a, c, b = vehicle(chunk_size=1000), vehicle(), vehicle()
    cid = a.put(DATA)
    c.get(cid, [a.url])

    async def hang(request: web.Request) -> web.StreamResponse:
        answer = await relay(request, a.url)
        if "format" in request.query:
            return answer
        assert isinstance(answer, web.Response)
        assert isinstance(answer.body, bytes)
        part = web.StreamResponse(status=206, headers=answer.headers)
        await part.prepare(request)
        await part.write(answer.body[: len(answer.body) // 2])
        await asyncio.sleep(3600)
        return part

    slow = provider(hang)
    with caplog.at_level(logging.WARNING, logger="bift_ros"):
        assert b.get(cid, [slow, a.url, c.url]) == DATA
    assert [r for r in caplog.records if slow in r.getMessage() and "slow" in r.getMessage()]


def test_a_vehicle_serves_what_it_has_got_so_far(vehicle: Vehicle, provider: Provider) -> None:
    a, b, c = vehicle(chunk_size=1000), vehicle(), vehicle()
    cid = a.put(DATA)
    half, go_on = threading.Event(), threading.Event()

    async def half_then_wait(request: web.Request) -> web.StreamResponse:
        if "format" not in request.query:
            raise web.HTTPNotFound
        if len(given) >= 25:
            half.set()
            await asyncio.get_running_loop().run_in_executor(None, go_on.wait)
        given.append(request.path)
        return await relay(request, a.url)

    given: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(b.get, cid, [provider(half_then_wait)])
        assert half.wait(20)
        asked, url = counted(provider, a)
        assert c.get(cid, [b.url, url]) == DATA
        assert len(asked) < 51
        go_on.set()
        assert waiting.result(30) == DATA


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
        ("http://10.0.0.1:22", "port"),
        ("http://10.0.0.1:1023", "port"),
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
