"""Attacks on a real gateway, by real sockets: members of the fleet are served all the same.

Each loopback address stands for a host of its own.
"""

from __future__ import annotations

import logging
import resource
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from urllib.parse import urlsplit

import pytest

from bift_ros.limits.limited_log import BURST
from bift_ros.storage import connections, gateway, responses, shares
from bift_ros.storage.blockstore import BlockStore
from bift_ros.storage.cidv1 import RAW, Cid
from bift_ros.storage.fetcher import Fetcher
from bift_ros.storage.gateway import Gateway
from bift_ros.storage.interface import FileRequest, StorageError
from bift_ros.storage.members import MAX_MEMBERS, MemberAddresses, plain_address
from bift_ros.storage.networks import ORDINARY, Networks
from bift_ros.storage.provider import Piece
from bift_ros.storage.shares import Rates

BLOCK = bytes(range(250))
CID = Cid.of(RAW, BLOCK)
REQUEST = f"GET /ipfs/{CID}?format=raw HTTP/1.1\r\nHost: x\r\n\r\n".encode()
MEMBER, OTHER_MEMBER = "127.0.0.9", "127.0.0.10"
STRANGERS = tuple(f"127.0.1.{n}" for n in range(1, 9))

Connect = Callable[..., socket.socket]


@pytest.fixture
def start(store: BlockStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Gateway]]:
    """Starts a gateway that knows two members."""
    store.put(lambda at, n: memoryview(BLOCK)[at : at + n], len(BLOCK), 1000)
    monkeypatch.setattr(connections, "network_of", str)
    members = MemberAddresses()
    members.note(MEMBER)
    members.note(OTHER_MEMBER)
    server = Gateway(store)

    def start() -> Gateway:
        server.start(members)
        return server

    yield start
    server.stop()


@pytest.fixture
def server(start: Callable[[], Gateway]) -> Gateway:
    return start()


@pytest.fixture
def connect_to() -> Iterator[Callable[[Gateway, str], socket.socket]]:
    """Connects from a loopback address, with a small buffer for what is received."""
    with ExitStack() as stack:

        def make(server: Gateway, source: str) -> socket.socket:
            parts = urlsplit(server.url)
            made = stack.enter_context(socket.socket())
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            made.settimeout(20)
            made.bind((source, 0))
            made.connect((parts.hostname, parts.port))
            return made

        yield make


@pytest.fixture
def connect(server: Gateway, connect_to: Connect) -> Connect:
    return partial(connect_to, server)


@pytest.fixture
def large(store: BlockStore) -> bytes:
    """A request for a file that no kernel takes into its buffers."""
    data = memoryview(bytes(20_000_000))
    root = store.put(lambda at, n: data[at : at + n], len(data), 262_144)
    return f"GET /ipfs/{root} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def is_served(connection: socket.socket) -> bool:
    answer = b""
    with suppress(ConnectionError):
        connection.sendall(REQUEST)
        while not answer.endswith(BLOCK) and (part := connection.recv(4_096)):
            answer += part
    return answer.startswith(b"HTTP/1.1 200") and answer.endswith(BLOCK)


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 12)
    monkeypatch.setattr(connections, "MAX_OF_OTHERS", 8)
    monkeypatch.setattr(connections, "MAX_PER_ADDRESS", 4)


def test_silent_strangers_take_no_members_connection(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_connections(monkeypatch)
    kept = [connect(address) for address in (MEMBER, OTHER_MEMBER) for _ in range(4)]
    assert all(is_served(connection) for connection in kept)
    for address in STRANGERS:
        for begun in (b"", REQUEST[:20]) * 8:
            with suppress(ConnectionError):
                connect(address).sendall(begun)
    assert all(is_served(connection) for connection in kept)


def test_slow_readers_of_many_addresses_keep_no_member_out(
    connect: Connect, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_connections(monkeypatch)
    for address in STRANGERS * 4:
        reader = connect(address)
        with suppress(ConnectionError):
            reader.sendall(large)
            reader.recv(100)
    assert not is_served(connect("127.0.2.1"))
    assert all(is_served(connect(address)) for address in (MEMBER, OTHER_MEMBER) for _ in range(4))


def test_a_slow_reader_gives_way_to_whoever_comes(
    connect: Connect, large: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one host, too, where all have one address."""
    monkeypatch.setattr(connections, "network_of", lambda host: connections.THIS_HOST)
    monkeypatch.setattr(connections, "MAX_ON_THIS_HOST", 4)
    monkeypatch.setattr(connections, "SLOW_AFTER", 0.2)
    readers = [connect(MEMBER) for _ in range(4)]
    for reader in readers:
        reader.sendall(large)
        assert reader.recv(100).startswith(b"HTTP/1.1 200")
    while not is_served(connect(OTHER_MEMBER)):
        pass


def test_a_member_gives_way_to_members_alone(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_connections(monkeypatch)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    first, second = connect(MEMBER), connect(MEMBER)
    assert all(is_served(connection) for connection in (second, first))
    assert not is_served(connect(STRANGERS[0]))
    assert is_open(first)
    assert is_open(second)
    assert is_served(connect(OTHER_MEMBER))
    assert is_open(first)
    assert not is_open(second)


def test_strangers_leave_answers_for_members(
    connect: Connect, store: BlockStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ask for blocks larger than any buffer and read nothing of them."""
    monkeypatch.setattr(responses, "SEND_TIMEOUT", 1000.0)
    noise = memoryview(bytes(1 << 20))
    block = store.put(lambda at, n: noise[at : at + n], len(noise), 1 << 20)
    request = f"GET /ipfs/{block}?format=raw HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    for address in STRANGERS:
        for _ in range(gateway.RESPONSES_PER_ADDRESS):
            connect(address).sendall(request)
    one, other = connect(MEMBER), connect(OTHER_MEMBER)
    assert all(is_served(connection) for connection in (one, other) * 10)


@pytest.mark.parametrize("whose", ["STRANGER", "STRANGERS"])
@pytest.mark.parametrize("rates", [Rates(1e-9, 1e9), Rates(1e9, 1e-6)], ids=["requests", "bytes"])
def test_whoever_asks_for_much_waits_and_members_do_not(
    start: Callable[[], Gateway],
    connect_to: Connect,
    monkeypatch: pytest.MonkeyPatch,
    whose: str,
    rates: Rates,
) -> None:
    monkeypatch.setattr(shares, whose, rates)
    connect = partial(connect_to, start())
    members = [connect(MEMBER), connect(OTHER_MEMBER)]
    waiting = connect(STRANGERS[0])
    waiting.sendall(REQUEST * 2)
    assert all(is_served(connection) for connection in members * 10)
    waiting.settimeout(0.2)
    received = b""
    with suppress(TimeoutError):
        while part := waiting.recv(4_096):
            received += part
    assert received.count(b"HTTP/1.1 200") <= 1


def test_what_is_had_beyond_ones_share_is_waited_for() -> None:
    account = shares._Account(Rates(10, 1000))
    assert [account.wait(5.0, 1, 0) for _ in range(10)] == [0.0] * 10
    assert account.wait(5.0, 1, 0) == pytest.approx(0.1)
    assert not account.is_full(5.5)
    assert account.wait(5.0, 0, 3000) == pytest.approx(2.0)
    assert account.wait(7.0, 0, 0) == pytest.approx(0.0)
    assert account.wait(100.0, 0, 0) == 0.0
    assert account.is_full(102.0)
    assert account.wait(102.0, 0, 2500) == pytest.approx(1.5)  # no more than a second's worth


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 1_000_000,
        b"GET / HTTP/1.1\r\nA: " + b"a" * 1_000_000,
        b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * 100_000,
        b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(100_000)),
        REQUEST * 20_000,
    ],
    ids=["line", "header", "headers", "names", "pipelined"],
)
def test_large_heads_are_refused(connect: Connect, head: bytes) -> None:
    connection = connect(STRANGERS[0])
    answers = b""
    with suppress(ConnectionError):
        connection.sendall(head)
    with suppress(ConnectionError):
        while part := connection.recv(4_096):
            answers += part
    assert b"HTTP/1.1 200" not in answers or answers.count(b"HTTP/1.1 200") < 10
    assert is_served(connect(MEMBER))


def test_what_cannot_be_read_takes_little_memory(connect: Connect) -> None:
    junk = b"GET /" + b"a" * 2_000_000
    tracemalloc.start()
    try:
        connections = [connect(STRANGERS[0]) for _ in range(60)]
        for connection in connections:
            with suppress(ConnectionError):
                connection.sendall(junk)
        assert is_served(connect(MEMBER))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(junk) + 10 * (1 << 20)


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        REQUEST[:-2] + b"Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        REQUEST[:-2] + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /ipfs/%00 HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_not_logged(
    connect: Connect, caplog: pytest.LogCaptureFixture, request_: bytes
) -> None:
    caplog.set_level(logging.INFO)
    connection = connect(STRANGERS[0])
    with suppress(ConnectionError):
        connection.sendall(request_)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4_096):
            pass
    assert is_served(connect(MEMBER))
    assert caplog.records == []


def test_a_gateway_may_open_as_many_files_as_it_serves(store: BlockStore) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        server = Gateway(store)
        server.start()
        server.stop()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 2 * connections.MAX_CONNECTIONS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_members_are_known_by_what_they_provide() -> None:
    urls = ["http://10.0.0.7:2000", "http://localhost:2000", "http://169.254.1.1:80", "x://y"]
    fetcher = Fetcher(ORDINARY)
    with fetcher.fetch(FileRequest(CID, urls, 1.0, False, 1000)):
        pass
    assert plain_address("10.0.0.7") in fetcher.members
    assert plain_address("::ffff:10.0.0.7") in fetcher.members
    assert plain_address("169.254.1.1") not in fetcher.members
    assert plain_address("127.0.0.1") not in fetcher.members
    fetcher.close()


def test_a_members_name_is_known_by_its_address(server: Gateway) -> None:
    fetcher = Fetcher(Networks.parse("127.0.0.0/8"))
    url = f"http://localhost:{urlsplit(server.url).port}"
    with fetcher.fetch(FileRequest(CID, [url], 5.0, False, 1000)) as fetch:
        fetch.get([Piece(CID)], lambda *_: None)
    assert plain_address("127.0.0.1") in fetcher.members
    fetcher.close()


def test_members_addresses_are_bounded() -> None:
    members = MemberAddresses()
    for number in range(MAX_MEMBERS + 2):
        members.note(f"10.0.{number // 250}.{number % 250 + 1}")
        members.note("192.168.0.1")
    assert plain_address("10.0.0.1") not in members
    assert plain_address("192.168.0.1") in members
    with pytest.raises(ValueError, match="car"):
        members.note("car")


def test_accounts_of_addresses_are_bounded(
    server: Gateway, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "MAX_SHARES", 2)
    for number in range(1, 7):
        assert is_served(connect(f"127.0.3.{number}"))


def test_a_damaged_store_fills_no_log(
    store: BlockStore,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: Cid) -> bytes:
        raise StorageError("the disk is worn out")

    monkeypatch.setattr(store, "get", fail)
    for _ in range(2 * BURST):
        with connect(MEMBER) as connection:
            connection.sendall(REQUEST)
            assert connection.recv(4_096).startswith(b"HTTP/1.1 500")
    assert sum("worn out" in line for line in caplog.messages) in (BURST, BURST + 1)
