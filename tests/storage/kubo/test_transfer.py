"""Vehicles with and without Kubo exchange files, through real daemons and real HTTP.

Kubo's own HTTP client is not among the ways: it takes blocks only from HTTPS gateways with HTTP/2
that its routing names, which a private swarm has not, and `swarm connect` takes none.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.interface import FileRequest, NotFound, StorageError
from bift_ros.storage.kubo.api import Unreachable
from bift_ros.storage.kubo.daemon import KuboDaemon
from bift_ros.storage.kubo.storage import KuboStorage
from bift_ros.storage.kubo.transfer import Transfer
from bift_ros.storage.stored_files import StoredFiles
from bift_ros.storage.unixfs import CHUNK_SIZE

pytestmark = pytest.mark.kubo

Daemon = Callable[..., KuboDaemon]
Kubo = Callable[..., KuboStorage]
Vehicle = Callable[..., EmbeddedStorage]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Provider = Callable[[Handler], str]

DATA = random.Random(11).randbytes(3_000_000)
SIZES = [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 10_000_000]


@pytest.mark.parametrize("size", SIZES)
def test_files_travel_between_kubo_and_embedded_vehicles_both_ways(
    kubo: Kubo, vehicle: Vehicle, size: int
) -> None:
    data = random.Random(size).randbytes(size)
    a, b, c = kubo(), vehicle(), kubo(connect=False)
    cid = a.put(data)
    assert b.get(cid, [a.url]) == data
    assert c.get(cid, [b.url]) == data
    assert c.has(cid)
    assert vehicle().put(data) == cid


def test_a_gateway_that_serves_blocks_alone_is_enough(
    daemon: Daemon, kubo: Kubo, vehicle: Vehicle
) -> None:
    one = daemon(start=False)
    config = json.loads((one.repository / "config").read_text())
    config["Gateway"]["DeserializedResponses"] = False
    (one.repository / "config").write_text(json.dumps(config))
    one.start(attached=True)
    data = random.Random(12).randbytes(10_000_000)
    a = kubo(one)
    assert vehicle().get(a.put(data), [a.url]) == data


@pytest.mark.slow
def test_a_file_of_100_mb_travels_both_ways(kubo: Kubo, vehicle: Vehicle, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(100_000_000)
    path, got = tmp_path / "file", tmp_path / "got"
    path.write_bytes(data)
    a, b, c = kubo(), vehicle(), kubo(connect=False)
    cid = a.put_file(path)
    assert b.put_file(path) == cid
    told: list[tuple[int, int]] = []
    c.get_file(cid, got, [b.url], on_progress=lambda *bytes_: told.append(bytes_))
    assert got.read_bytes() == data
    assert max(told)[0] == len(data)
    assert len(set(told)) > 100
    vehicle().get_file(cid, got, [a.url])
    assert got.read_bytes() == data


def test_kubo_takes_the_car_archive_of_an_embedded_vehicle(
    daemon: Daemon, kubo: Kubo, vehicle: Vehicle, tmp_path: Path
) -> None:
    a, one = vehicle(), daemon()
    cid = a.put(DATA)
    archive = tmp_path / "file.car"
    with urllib.request.urlopen(f"{a.url}/ipfs/{cid}?format=car", timeout=30) as answer:
        archive.write_bytes(answer.read())
    with archive.open("rb") as file:
        one.api._client.dag.imprt(file)
    assert kubo(one).get(cid) == DATA


def test_kubos_own_http_client_is_no_way_to_a_vehicle(kubo: Kubo, vehicle: Vehicle) -> None:
    # Should a later release take plain HTTP addresses, this says so.
    a, b = vehicle(), kubo()
    host, port = a.url.removeprefix("http://").split(":")
    peer = "12D3KooWMZjSTNZoAkkjgUUZfawn8DNMgc2dFeo1zCmPE78Hfh5d"
    for layers in ("http", "tls/http"):
        with pytest.raises(StorageError, match="no transport for protocol"):
            b._api.connect(f"/ip4/{host}/tcp/{port}/{layers}/p2p/{peer}")


def test_a_vehicle_outside_the_swarm_is_asked_when_the_swarm_has_nothing(
    kubo: Kubo, vehicle: Vehicle
) -> None:
    a, b, c = kubo(), kubo(), vehicle()
    cid = c.put(DATA)
    assert a.peers()
    assert b.get(cid, [a.url, c.url]) == DATA
    assert b.has(cid)


def test_providers_that_are_gone_lie_or_lack_the_file_are_skipped_and_named(
    kubo: Kubo, vehicle: Vehicle, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    async def lie(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"a lie")

    a, b, empty = kubo(connect=False), vehicle(), vehicle()
    cid = b.put(DATA)
    bad = ["http://127.0.0.1:9", provider(lie), empty.url, "gopher://x"]
    assert a.get(cid, [*bad, b.url]) == DATA
    for url in (bad[0], bad[1], bad[3]):
        assert f"provider {url} was skipped" in caplog.text


def test_a_provider_that_stalls_delays_a_file_by_little(
    kubo: Kubo, vehicle: Vehicle, provider: Provider
) -> None:
    asked = threading.Event()

    async def stall(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    a, b = kubo(connect=False), vehicle()
    cid = b.put(DATA)
    assert a.get(cid, [provider(stall), b.url], timeout=20.0) == DATA


def test_a_kubo_vehicle_killed_in_the_middle_of_a_file_is_skipped(
    daemon: Daemon, kubo: Kubo, vehicle: Vehicle
) -> None:
    dying = daemon()
    a, b, c = kubo(dying), vehicle(), kubo()
    cid = a.put(DATA)
    b.put(DATA)
    api = c._api
    put_block, killed = api.put_block, threading.Event()

    def put_and_kill(cid: Cid, data: bytes | memoryview) -> None:
        put_block(cid, data)
        if not killed.is_set():
            killed.set()
            os.kill(dying.pid or 0, 9)

    def get_alone() -> None:
        # Without the swarm: which block comes first there cannot be seen.
        request = FileRequest(Cid.parse(cid), [a.url], 5.0, False, len(DATA))
        Transfer(api, c.url, request).over_http(c._fetcher, c._pool)

    api.put_block = put_and_kill  # type: ignore[method-assign]
    with pytest.raises(NotFound, match=a.url):
        get_alone()
    assert killed.is_set()
    assert not c.has(cid)
    assert c.get(cid, [a.url, b.url]) == DATA
    with pytest.raises(Unreachable, match="bift storage kubo start"):
        a.put(b"more")


def test_what_a_stopped_vehicle_stored_is_read_from_its_disk(
    daemon: Daemon, kubo: Kubo, tmp_path: Path
) -> None:
    one = daemon()
    cid = kubo(one).put(DATA)
    files = StoredFiles(tmp_path / "no store", one.repository)
    assert files.get(cid) == DATA
    one.stop()
    assert files.get(cid) == DATA
    with pytest.raises(NotFound, match=str(one.repository)):
        files.get(str(Cid.of(RAW, b"absent")))
    for file in one.repository.glob("blocks/*/*.data"):
        file.write_bytes(b"damage")
    with pytest.raises(NotFound, match="damaged"):
        files.get(cid)
