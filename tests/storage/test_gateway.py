from __future__ import annotations

import http.client
import os
import random
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import dag_cbor
import pytest
from multiformats import varint

from bift_ros.storage import gateway as gateway_module
from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
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


def test_connections_over_the_bound_are_closed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "MAX_CONNECTIONS", 2)
    address = (urlsplit(gateway.url).hostname, urlsplit(gateway.url).port)
    request = f"GET /ipfs/{CID}?format=raw HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    kept = [socket.create_connection(address, 20) for _ in range(2)]
    for connection in kept:
        connection.sendall(request)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    with socket.create_connection(address, 20) as third:
        try:
            third.sendall(request)
            assert third.recv(100) == b""
        except ConnectionError:
            pass
    for connection in kept:
        connection.close()


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
