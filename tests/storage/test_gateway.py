from __future__ import annotations

import asyncio
import http.client
import os
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import dag_cbor
import pytest
from aiohttp import web
from multiformats import varint

from bift_ros.storage import connections, responses
from bift_ros.storage import gateway as gateway_module
from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.connections import Connection
from bift_ros.storage.dagpb import decode_node
from bift_ros.storage.gateway import Gateway
from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.unixfs import blocks_of

RAW_TYPE = "application/vnd.ipld.raw"
BLOCK = b"a block of traffic lights"
CID = Cid.of(RAW, BLOCK)


@pytest.fixture
def gateway(store: BlockStore) -> Iterator[Gateway]:
    put(store, BLOCK, 1000)
    server = Gateway(store)
    server.start()
    yield server
    server.stop()


def put(store: BlockStore, data: bytes, chunk_size: int) -> Cid:
    return store.put(lambda offset, size: data[offset : offset + size], len(data), chunk_size)


def ask(
    gateway: Gateway, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=20)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?format=raw", {}),
        ("", {"Accept": RAW_TYPE}),
        ("?format=raw", {"Accept": "*/*"}),
        ("", {"Accept": f"text/html, {RAW_TYPE};q=0.9"}),
        ("?format=raw", {"Accept": "application/vnd.ipld.car"}),  # format goes before Accept
    ],
)
def test_a_block_is_served_with_the_headers_of_the_specification(
    gateway: Gateway, query: str, headers: dict[str, str]
) -> None:
    status, got, body = ask(gateway, f"/ipfs/{CID}{query}", **headers)
    assert (status, body) == (200, BLOCK)
    assert got["content-type"] == RAW_TYPE
    assert got["content-length"] == str(len(BLOCK))
    assert got["etag"] == f'"{CID}.raw"'
    assert got["cache-control"] == "public, max-age=29030400, immutable"
    assert got["x-content-type-options"] == "nosniff"
    assert got["content-disposition"] == f'attachment; filename="{CID}.bin"'
    assert got["x-ipfs-path"] == f"/ipfs/{CID}"


def test_head_tells_the_same_without_the_body(gateway: Gateway) -> None:
    status, got, body = ask(gateway, f"/ipfs/{CID}?format=raw", "HEAD")
    full = ask(gateway, f"/ipfs/{CID}?format=raw")[1]
    assert (status, body) == (200, b"")
    assert {k: v for k, v in got.items() if k != "date"} == {
        k: v for k, v in full.items() if k != "date"
    }


@pytest.mark.parametrize("tag", [f'"{CID}.raw"', f'W/"{CID}.raw"', f'"x", "{CID}.raw"', "*"])
def test_a_client_that_has_the_block_gets_304(gateway: Gateway, tag: str) -> None:
    status, got, body = ask(gateway, f"/ipfs/{CID}?format=raw", If_None_Match=tag)
    assert (status, body) == (304, b"")
    assert got["etag"] == f'"{CID}.raw"'


def test_another_tag_gets_the_block(gateway: Gateway) -> None:
    assert ask(gateway, f"/ipfs/{CID}?format=raw", If_None_Match='"other"')[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", f"/ipfs/{Cid.of(RAW, b'absent')}?format=raw", 404, "not in this store"),
        ("GET", "/ipfs/nonsense?format=raw", 400, "not a CID"),
        ("GET", "/ipfs/" + "b" * 59 + "?format=raw", 400, "CID"),
        ("GET", "/ipfs/..%2f..%2flock?format=raw", 400, "not a CID"),
        ("GET", f"/ipfs/{CID}?format=tar", 406, "format=raw"),
        ("GET", f"/ipfs/{Cid.of(RAW, b'absent')}", 404, "not in this store"),
        ("GET", f"/ipfs/{Cid.of(DAG_PB, b'absent')}", 404, "not a file in this store"),
        ("GET", f"/ipfs/{Cid.of(RAW, b'absent')}?format=car", 404, "not in this store"),
        ("GET", f"/ipfs/{CID}?format=car&dag-scope=some", 400, "dag-scope"),
        ("GET", f"/ipfs/{CID}?format=car&dag-scope=entity&entity-bytes=x", 400, "entity-bytes"),
        ("GET", f"/ipfs/{CID}/inner?format=raw", 404, ""),
        ("GET", "/", 404, ""),
        ("POST", f"/ipfs/{CID}?format=raw", 405, ""),
        ("DELETE", f"/ipfs/{CID}", 405, ""),
    ],
)
def test_bad_requests_are_refused_with_the_reason(
    gateway: Gateway, method: str, path: str, status: int, reason: str
) -> None:
    got, headers, body = ask(gateway, path, method)
    assert got == status
    assert reason in body.decode()
    assert "immutable" not in headers.get("cache-control", "")


def test_a_block_is_found_by_its_hash_whatever_the_codec(gateway: Gateway) -> None:
    assert ask(gateway, f"/ipfs/{Cid(DAG_PB, CID.digest)}?format=raw")[2] == BLOCK


def test_every_block_of_a_tree_is_served(gateway: Gateway, store: BlockStore) -> None:
    put(store, bytes(range(250)), 30)
    for cid, block in blocks_of(bytes(range(250)), 30):
        assert ask(gateway, f"/ipfs/{cid}?format=raw")[2] == block


def test_ipfs_nodes_may_try_the_gateway(gateway: Gateway) -> None:
    assert ask(gateway, "/ipfs/bafkqaaa?format=raw")[::2] == (200, b"")


DATA = bytes(range(256)) * 4
RANGES = [
    ("bytes=0-0", 0, 1),
    ("bytes=5-19", 5, 20),
    ("bytes=1000-", 1000, 1024),
    ("bytes=-24", 1000, 1024),
    ("bytes=0-9999", 0, 1024),
    ("bytes=-9999", 0, 1024),
]


@pytest.mark.parametrize(("asked", "start", "stop"), RANGES)
@pytest.mark.parametrize(("chunk_size", "query"), [(100, ""), (2000, ""), (2000, "?format=raw")])
def test_ranges_of_files_and_blocks(
    gateway: Gateway,
    store: BlockStore,
    asked: str,
    start: int,
    stop: int,
    chunk_size: int,
    query: str,
) -> None:
    cid = put(store, DATA, chunk_size)
    for method in ("GET", "HEAD"):
        status, got, answer = ask(gateway, f"/ipfs/{cid}{query}", method, Range=asked)
        assert status == 206
        assert got["content-range"] == f"bytes {start}-{stop - 1}/1024"
        assert got["content-length"] == str(stop - start)
        assert answer == (DATA[start:stop] if method == "GET" else b"")


@pytest.mark.parametrize("chunk_size", [100, 2000])
@pytest.mark.parametrize("query", ["", "?format=raw"])
def test_ranges_that_make_no_sense(
    gateway: Gateway, store: BlockStore, chunk_size: int, query: str
) -> None:
    cid = put(store, DATA, chunk_size)
    path = f"/ipfs/{cid}{query}"
    whole = ask(gateway, path)
    assert whole[0] == 200
    assert whole[1]["accept-ranges"] == "bytes"
    for asked in ("bytes=9-2", "lines=1-2", "bytes=a-b", "bytes=0-1,4-5"):
        assert ask(gateway, path, Range=asked)[::2] == whole[::2]
    status, got, _ = ask(gateway, path, Range="bytes=99999-")
    assert status == 416
    assert got["content-range"] == f"bytes */{len(whole[2])}"
    tag = whole[1]["etag"]
    assert ask(gateway, path, Range="bytes=0-1", If_Range=tag)[0] == 206
    assert ask(gateway, path, Range="bytes=0-1", If_Range='"other"')[0] == 200


@pytest.mark.parametrize("chunk_size", [100, 2000])
def test_a_file_is_served_as_it_is(gateway: Gateway, store: BlockStore, chunk_size: int) -> None:
    cid = put(store, DATA, chunk_size)
    status, got, body = ask(gateway, f"/ipfs/{cid}")
    assert (status, body) == (200, DATA)
    assert got["etag"] == f'"{cid}"'
    assert got["content-type"] == "application/octet-stream"
    assert ask(gateway, f"/ipfs/{cid}", If_None_Match=f'"{cid}"')[0] == 304
    assert ask(gateway, f"/ipfs/{cid}", "HEAD")[::2] == (200, b"")


def test_a_file_that_was_changed_is_not_served(gateway: Gateway, store: BlockStore) -> None:
    cid = put(store, DATA, 100)
    store.path("files", cid).write_bytes(bytes(1024))
    assert ask(gateway, f"/ipfs/{cid}")[0] == 404


def archived(body: bytes) -> tuple[list[Cid], list[tuple[Cid, bytes]]]:
    """Roots and blocks of an archive, read by the multiformats libraries."""
    at = 0

    def take() -> bytes:
        nonlocal at
        size, read, _ = varint.decode_raw(body[at:])
        at += read + size
        return body[at - size : at]

    head = dag_cbor.decode(take())
    assert head["version"] == 1
    blocks = []
    while at < len(body):
        block = take()
        blocks.append((Cid.from_bytes(block[:36]), block[36:]))
    return [Cid.from_bytes(bytes(root)) for root in head["roots"]], blocks


@pytest.mark.parametrize("headers", [{}, {"Accept": "application/vnd.ipld.car"}])
def test_an_archive_holds_the_file_depth_first(
    gateway: Gateway, store: BlockStore, headers: dict[str, str]
) -> None:
    data = random.Random(1).randbytes(2000)
    cid = put(store, data, 10)
    query = "" if headers else "?format=car"
    status, got, body = ask(gateway, f"/ipfs/{cid}{query}", **headers)
    assert status == 200
    assert got["content-type"] == "application/vnd.ipld.car; version=1; order=dfs; dups=n"
    assert got["x-content-type-options"] == "nosniff"
    assert got["content-disposition"] == f'attachment; filename="{cid}.car"'
    roots, blocks = archived(body)
    assert roots == [cid]
    assert [block for block, _ in blocks][:2] == [cid, decode_node(store.get(cid))[0].cid]
    assert all(block.matches(content) for block, content in blocks)
    leaves = [content for block, content in blocks if block.codec == RAW]
    assert b"".join(leaves) == data
    assert len(blocks) == 203
    etag = got["etag"]
    assert etag.startswith(f'W/"{cid}.car')
    assert ask(gateway, f"/ipfs/{cid}?format=car", If_None_Match=etag)[0] == 304
    head = ask(gateway, f"/ipfs/{cid}?format=car", "HEAD")
    assert head[::2] == (200, b"")
    assert head[1]["etag"] == etag


def test_the_scope_of_an_archive(gateway: Gateway, store: BlockStore) -> None:
    data = random.Random(1).randbytes(2000)
    cid = put(store, data, 10)

    def blocks(query: str) -> list[tuple[Cid, bytes]]:
        return archived(ask(gateway, f"/ipfs/{cid}?format=car&{query}")[2])[1]

    assert blocks("dag-scope=block") == [(cid, store.get(cid))]
    assert blocks("dag-scope=all") == blocks("dag-scope=entity")
    part = blocks("dag-scope=entity&entity-bytes=15:34")
    assert [content for block, content in part if block.codec == RAW] == [
        data[10:20], data[20:30], data[30:40],
    ]  # fmt: skip
    assert len(part) == 5
    assert blocks("dag-scope=entity&entity-bytes=1990:*")[-1][1] == data[1990:]


def test_an_archive_of_what_is_not_whole_is_not_found(gateway: Gateway, store: BlockStore) -> None:
    cid = put(store, DATA, 100)
    path = store.path("files", cid)
    times = path.stat().st_mtime_ns
    path.write_bytes(DATA[:500] + bytes(524))
    os.utime(path, ns=(times, times))
    with pytest.raises(NotFound):
        store.get(Cid.of(RAW, DATA[500:600]))
    assert ask(gateway, f"/ipfs/{cid}?format=car")[0] == 404
    assert ask(gateway, f"/ipfs/{cid}?format=car&dag-scope=block")[0] == 200


def test_many_clients_at_once(gateway: Gateway) -> None:
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: ask(gateway, f"/ipfs/{CID}?format=raw"), range(200)))
    assert {(status, body) for status, _, body in answers} == {(200, BLOCK)}


def connect(gateway: Gateway) -> socket.socket:
    parts = urlsplit(gateway.url)
    return socket.create_connection((parts.hostname, parts.port), 20)


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionError:
        return True


REQUEST = f"GET /ipfs/{CID}?format=raw HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def is_served(connection: socket.socket) -> bool:
    connection.sendall(REQUEST)
    answer = b""
    while not answer.endswith(BLOCK) and (part := connection.recv(4_096)):
        answer += part
    return answer.startswith(b"HTTP/1.1 200")


def busy_connection(gateway: Gateway, root: Cid) -> socket.socket:
    """One whose client reads the beginning of a large answer only."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect((urlsplit(gateway.url).hostname, urlsplit(gateway.url).port))
    connection.sendall(f"GET /ipfs/{root} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 200")
    return connection


def test_connections_over_the_bound_are_closed(
    gateway: Gateway, store: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    root = put(store, bytes(20_000_000), 262_144)
    kept = [busy_connection(gateway, root) for _ in range(2)]
    with connect(gateway) as third:
        with suppress(ConnectionError):
            third.sendall(REQUEST)
        assert is_closed(third)
    for connection in kept:
        assert connection.recv(100)
        connection.close()


def test_who_waits_longest_gives_way_to_a_new_connection(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    first, second, third = (connect(gateway) for _ in range(3))
    assert all(is_served(one) for one in (second, third, first))
    with connect(gateway) as fourth:
        assert is_served(fourth)
    assert is_closed(second)
    assert is_served(third)
    assert is_served(first)
    for connection in (first, second, third):
        connection.close()


def test_silent_connections_keep_nobody_out(gateway: Gateway) -> None:
    """Twice as many as there may be, half of them with the beginning of a request."""
    silent = [connect(gateway) for _ in range(2 * connections.MAX_CONNECTIONS)]
    try:
        for connection in silent[::2]:
            with suppress(ConnectionError):
                connection.sendall(REQUEST[:20])
        assert ask(gateway, f"/ipfs/{CID}?format=raw")[::2] == (200, BLOCK)
    finally:
        for connection in silent:
            connection.close()


@pytest.mark.parametrize("begun", [b"", REQUEST[:30]])
def test_a_head_that_does_not_come_whole_ends_its_connection(
    store: BlockStore, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.3)
    server = Gateway(store)
    server.start()
    try:
        with connect(server) as connection:
            connection.sendall(begun)
            connection.settimeout(10)
            assert is_closed(connection)
    finally:
        server.stop()


def test_a_kept_connection_whose_next_head_drips_is_ended(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_TIMEOUT", 0.5)
    with connect(gateway) as connection:
        assert is_served(connection)
        connection.settimeout(0.05)
        ended = False
        for byte in (REQUEST[:-1] * 10)[:200]:
            try:
                connection.sendall(bytes([byte]))
                ended = ended or connection.recv(4_096) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                ended = True
            if ended:
                break
        assert ended


def test_a_body_that_nobody_needs_is_not_waited_for_long(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_TIMEOUT", 0.3)
    with connect(gateway) as connection:
        connection.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nContent-Length: 1000000\r\n\r\n"))
        received = b""
        while part := connection.recv(4_096):
            received += part
        assert received.endswith(BLOCK)


def test_one_address_gets_only_a_part_of_the_connections(
    gateway: Gateway, store: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address with answers that it doesn't read, and another one."""
    root = put(store, bytes(20_000_000), 262_144)
    monkeypatch.setattr(connections, "MAX_PER_ADDRESS", 3)
    monkeypatch.setattr(connections, "network_of", lambda host: next(hosts))
    hosts = iter(["10.0.0.1"] * 4 + ["10.0.0.2"])
    kept = [busy_connection(gateway, root) for _ in range(3)]
    with connect(gateway) as fourth:
        with suppress(ConnectionError):
            fourth.sendall(REQUEST)
        assert is_closed(fourth)
    assert ask(gateway, f"/ipfs/{CID}?format=raw")[0] == 200
    for connection in kept:
        connection.close()


def test_one_address_gets_only_a_part_of_the_answers(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for more blocks than there are slots and reads none of the answers."""
    monkeypatch.setattr(connections, "network_of", lambda host: next(hosts))
    count = gateway_module.MAX_RESPONSES
    hosts = iter(["10.0.0.1"] * count + ["10.0.0.2"])
    stuck = threading.Semaphore(0)
    send = responses._whole

    async def stick(response: web.Response, request: web.Request) -> bool:
        if isinstance(request.protocol, Connection) and request.protocol.network == "10.0.0.1":
            stuck.release()
            await asyncio.Event().wait()
        return await send(response, request)

    monkeypatch.setattr(responses, "_whole", stick)
    held = [connect(gateway) for _ in range(count)]
    for connection in held:
        connection.sendall(REQUEST)
    for _ in range(gateway_module.RESPONSES_PER_ADDRESS):
        assert stuck.acquire(timeout=20)
    assert ask(gateway, f"/ipfs/{CID}?format=raw")[::2] == (200, BLOCK)
    assert not stuck.acquire(blocking=False)
    for connection in held:
        connection.close()


def test_the_list_of_an_archive_is_bounded(
    gateway: Gateway, store: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    cid = put(store, DATA, 100)
    assert ask(gateway, f"/ipfs/{cid}?format=car")[0] == 200
    monkeypatch.setattr(responses, "MAX_ARCHIVE_BLOCKS", 11)
    status, _, text = ask(gateway, f"/ipfs/{cid}?format=car")
    assert (status, b"over 11 blocks" in text) == (400, True)


def test_what_is_no_node_is_the_clients_mistake_and_is_not_logged(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    node = Cid(DAG_PB, CID.digest)
    assert ask(gateway, f"/ipfs/{node}?format=car")[0] == 400
    assert caplog.records == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1", "127.9.9.9", True),
        ("127.0.0.1", "::1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("127.0.0.1", "10.0.0.1", False),
    ],
)
def test_whose_an_address_is(one: str, other: str, same: bool) -> None:
    assert (connections.network_of(one) == connections.network_of(other)) is same


def test_a_stopped_gateway_is_gone_and_frees_its_port(store: BlockStore) -> None:
    server = Gateway(store)
    server.start()
    port = urlsplit(server.url).port
    assert port is not None
    server.stop()
    server.stop()
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port), 5)
    again = Gateway(store, port=port)
    again.start()
    assert again.url == f"http://127.0.0.1:{port}"
    again.stop()


def test_a_taken_port_is_a_clear_error(gateway: Gateway, store: BlockStore) -> None:
    port = urlsplit(gateway.url).port
    assert port is not None
    with pytest.raises(StorageError, match=f"port {port}"):
        Gateway(store, port=port).start()


def test_an_address_that_nobody_can_reach_is_not_announced(store: BlockStore) -> None:
    with pytest.raises(StorageError, match="advertised_host"):
        Gateway(store, host="0.0.0.0")
    server = Gateway(store, host="0.0.0.0", advertised_host="localhost")
    server.start()
    try:
        assert server.url.startswith("http://localhost:")
        assert ask(server, f"/ipfs/{CID}?format=raw")[0] == 404
    finally:
        server.stop()
