from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from bift_ros.storage import gateway as gateway_module
from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.gateway import Gateway
from bift_ros.storage.interface import StorageError
from bift_ros.storage.unixfs import blocks_of

RAW_TYPE = "application/vnd.ipld.raw"
BLOCK = b"a block of traffic lights"
CID = Cid.of(RAW, BLOCK)


@pytest.fixture
def gateway(store: BlockStore) -> Iterator[Gateway]:
    with store.batch() as batch:
        batch.put(CID, BLOCK)
        batch.commit(CID)
    server = Gateway(store)
    server.start()
    yield server
    server.stop()


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
        ("?format=car", {"Accept": RAW_TYPE}),  # a specific Accept goes before format
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
        ("GET", f"/ipfs/{CID}", 406, "format=raw"),
        ("GET", f"/ipfs/{CID}?format=car", 406, "format=raw"),
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
    with store.batch() as batch:
        blocks = [(cid, bytes(block)) for cid, block in blocks_of(bytes(range(250)), 30)]
        for cid, block in blocks:
            batch.put(cid, block)
        batch.commit(cid)
    for cid, block in blocks:
        assert ask(gateway, f"/ipfs/{cid}?format=raw")[2] == block


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
