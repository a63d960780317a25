"""Vehicles that fetch one file at the same time, and give one another what they have got."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest
from aiohttp import ClientSession, web
from hypothesis import given
from hypothesis import strategies as st

from bift_ros.storage.byte_ranges import AVAILABLE, MAX_RANGES, ByteRanges
from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.interface import NotFound
from bift_ros.storage.kubo.transfer import shares
from bift_ros.storage.piece_picker import PiecePicker
from bift_ros.storage.provider import Piece, Provider

Vehicle = Callable[..., EmbeddedStorage]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
StartProvider = Callable[[Handler], str]

CHUNK = 1000
DATA = random.Random(8).randbytes(40 * CHUNK)
PIECES = [Piece(Cid.of(RAW, bytes([n])), n * CHUNK, CHUNK) for n in range(40)]


async def relay(request: web.Request, url: str) -> web.StreamResponse:
    headers = {name: request.headers[name] for name in ("Range",) if name in request.headers}
    async with ClientSession(url) as session, session.get(request.path_qs, headers=headers) as got:
        kept = {k: v for k, v in got.headers.items() if k in ("Content-Range", AVAILABLE)}
        return web.Response(status=got.status, body=await got.read(), headers=kept)


def test_who_fetches_at_once_spares_the_one_who_has_it(
    vehicle: Vehicle, provider: StartProvider
) -> None:
    """The one who has it sends each block only a few times, though five want it."""
    origin = vehicle(chunk_size=CHUNK)
    cid = origin.put(DATA)
    asked: Counter[str] = Counter()
    turn = asyncio.Lock()

    async def busy(request: web.Request) -> web.StreamResponse:
        async with turn:
            if "Range" in request.headers:
                asked[request.headers["Range"]] += 1
                await asyncio.sleep(0.02)  # its uplink, which all of them share
            return await relay(request, origin.url)

    url = provider(busy)
    clients = [vehicle() for _ in range(5)]
    together = threading.Barrier(len(clients))

    def get(client: EmbeddedStorage) -> bytes:
        together.wait(20)
        return client.get(cid, [url, *(c.url for c in clients if c is not client)])

    with ThreadPoolExecutor(len(clients)) as pool:
        assert list(pool.map(get, clients)) == [DATA] * len(clients)
    assert asked.total() < 5 * 40 / 2


def test_who_is_still_fetching_says_what_it_has_and_is_asked_again(
    vehicle: Vehicle, provider: StartProvider
) -> None:
    origin, client = vehicle(chunk_size=CHUNK), vehicle()
    cid = origin.put(DATA)
    answers: list[int] = []

    async def fetching(request: web.Request) -> web.StreamResponse:
        if "Range" not in request.headers:
            return await relay(request, origin.url)
        first = int(request.headers["Range"].split("=")[1].split("-")[0])
        came = len(answers) * CHUNK  # a block more at every answer
        answers.append(206 if first < came else 404)
        here = {AVAILABLE: f"bytes=0-{came - 1}" if came else "bytes="}
        if answers[-1] == 404:
            return web.Response(status=404, headers=here)
        answer = await relay(request, origin.url)
        answer.headers.update(here)
        return answer

    async def lacks_it(request: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    assert client.get(cid, [provider(fetching), provider(lacks_it)]) == DATA
    assert answers[0] == 404
    assert answers[-1] == 206


def test_who_did_not_have_a_block_is_asked_for_it_again_while_others_give(
    vehicle: Vehicle, provider: StartProvider
) -> None:
    """It says nothing of fetching the file, and yet has the block some time later."""
    origin, client = vehicle(chunk_size=CHUNK), vehicle()
    cid = origin.put(DATA)
    last = Cid.of(RAW, DATA[-CHUNK:])
    refused: list[str] = []
    asked_again = asyncio.Event()

    async def late(request: web.Request) -> web.StreamResponse:
        if "Range" in request.headers or len(refused) < 3:
            refused.append(request.path)
            return web.Response(status=404)
        asked_again.set()
        return await relay(request, origin.url)

    async def slow_at_the_last(request: web.Request) -> web.StreamResponse:
        ends_there = request.headers.get("Range", "").endswith(f"-{len(DATA) - 1}")
        if ends_there or str(last) in request.path:
            await asyncio.wait_for(asked_again.wait(), 60)
        return await relay(request, origin.url)

    assert client.get(cid, [provider(slow_at_the_last), provider(late)]) == DATA
    assert len(refused) >= 3
    assert asked_again.is_set()


def test_what_nobody_has_or_expects_is_not_waited_for(vehicle: Vehicle) -> None:
    absent = str(Cid.of(RAW, b"absent"))
    a, b, c = vehicle(), vehicle(), vehicle()
    with pytest.raises(NotFound, match="no provider gave block"):
        a.get(absent, [b.url, c.url], timeout=60)


def test_the_gateway_says_what_came_of_a_file_only_while_it_is_coming(
    vehicle: Vehicle, provider: StartProvider
) -> None:
    origin, client = vehicle(chunk_size=CHUNK), vehicle()
    cid = origin.put(DATA)
    half, go_on = threading.Event(), threading.Event()
    given = 0

    async def half_of_it(request: web.Request) -> web.StreamResponse:
        nonlocal given
        if "format" not in request.query:
            return web.Response(status=404)
        given += 1
        if given > 20:
            half.set()
            await asyncio.get_running_loop().run_in_executor(None, go_on.wait)
        return await relay(request, origin.url)

    def told(start: int) -> tuple[int, ByteRanges | None]:
        async def ask() -> tuple[int, str | None]:
            span = {"Range": f"bytes={start}-{start + CHUNK - 1}"}
            async with (
                ClientSession(client.url) as session,
                session.get(f"/ipfs/{cid}", headers=span) as got,
            ):
                return got.status, got.headers.get(AVAILABLE)

        status, text = asyncio.run(ask())
        return status, ByteRanges.parse(text)

    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(client.get, cid, [provider(half_of_it)])
        assert half.wait(20)
        for start in range(0, len(DATA), CHUNK):
            status, here = told(start)
            assert here is not None
            assert (status == 206) == here.cover(start, start + CHUNK)
        go_on.set()
        assert fetching.result(30) == DATA
    assert told(0) == (206, None)


# -- whom to ask for what


def known(**state: object) -> Provider:
    made = Provider("http://127.0.0.1:1")
    for name, value in state.items():
        setattr(made, name, value)
    return made


def has(*pieces: Piece) -> ByteRanges:
    ranges = ByteRanges()
    for piece in pieces:
        assert piece.offset is not None
        ranges.add(piece.offset, piece.offset + CHUNK)
    return ranges


def test_the_rarest_are_asked_of_who_has_all_and_the_others_of_who_fetches() -> None:
    whole, partial = known(), known()
    picker = PiecePicker([whole, partial])
    whole.served, partial.has = 1, has(PIECES[0])
    nobody: dict[Piece, dict[Provider, float]] = {piece: {} for piece in PIECES}
    assert picker.choose(PIECES, nobody, 10.0) == (PIECES[0], partial)
    partial.in_flight = 1
    assert picker.choose(PIECES, nobody, 10.0) == (PIECES[1], whole)
    whole.in_flight = 1
    assert picker.choose(PIECES, nobody, 10.0) is None
    partial.in_flight = 0
    assert picker.choose(PIECES[1:], nobody, 10.0) == (PIECES[1], partial)  # it may have it by now
    assert picker.choose(PIECES[1:], nobody, 10.05) is None  # but is not asked all the time


def test_who_refused_a_piece_or_is_left_alone_is_not_asked() -> None:
    one, other = known(served=1), known(served=1, ready_at=20.0)
    picker = PiecePicker([one, other])
    refused = {PIECES[0]: {one: 30.0}}
    assert picker.choose(PIECES[:1], refused, 10.0) is None
    assert picker.choose(PIECES[:1], refused, 25.0) == (PIECES[0], other)
    other.gone = True
    assert picker.choose(PIECES[:1], refused, 35.0) == (PIECES[0], one)


def test_orders_differ_among_several_providers_and_keep_stretches_of_one() -> None:
    assert list(PiecePicker([known()]).order(PIECES)) == PIECES
    orders = {tuple(PiecePicker([known(), known()]).order(PIECES)) for _ in range(5)}
    assert len(orders) > 1
    assert all(sorted(order, key=PIECES.index) == PIECES for order in orders)


def test_every_piece_is_in_the_share_of_one_vehicle() -> None:
    urls = ["a", "b", "c"]
    parts = [list(shares(PIECES, url, [u for u in urls if u != url])) for url in urls]
    assert sorted(chain(*(mine for mine, _ in parts)), key=PIECES.index) == PIECES
    assert all(sorted(mine + rest, key=PIECES.index) == PIECES for mine, rest in parts)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=30))
def test_ranges_hold_what_was_added_and_survive_the_header(
    stretches: list[tuple[int, int]],
) -> None:
    ranges = ByteRanges()
    held: set[int] = set()
    for start, length in stretches:
        ranges.add(start, start + length)
        held.update(range(start, start + length))
    read = ByteRanges.parse(str(ranges))
    assert read is not None
    for known in (ranges, read):
        assert {byte for byte in range(80) if known.cover(byte, byte + 1)} == held


@pytest.mark.parametrize("text", ["", "bytes", "items=0-1", None])
def test_what_is_no_header_of_ranges_says_nothing(text: str | None) -> None:
    assert ByteRanges.parse(text) is None


def test_nonsense_in_the_header_is_left_out_and_long_ones_are_cut() -> None:
    read = ByteRanges.parse("bytes=5-2,x-y,-4,7-9,9999999999999999999-1")
    assert str(read) == "bytes=7-9"
    long = ByteRanges.parse("bytes=" + ",".join(f"{10 * n}-{10 * n + 4}" for n in range(5000)))
    assert str(long).count("-") == MAX_RANGES
