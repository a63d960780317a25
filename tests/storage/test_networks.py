"""A store connects to no address that somebody else may not choose for it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bift_ros.storage.cid import cid_of
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.errors import NotFound, StorageError
from bift_ros.storage.gateway_urls import gateway_url
from bift_ros.storage.networks import MAX_ADDRESSES, ORDINARY, Networks

Vehicle = Callable[..., EmbeddedStorage]

ORDINARY_ADDRESSES = (
    "10.1.2.3", "172.16.0.1", "192.168.178.20", "8.8.8.8", "fd12:3456::1", "2a00:1450:4001::1",
    "::ffff:192.168.0.7",
)  # fmt: skip
SPECIAL_ADDRESSES = (
    "127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1",
    "239.255.0.1", "240.0.0.1", "255.255.255.255", "100.64.0.1", "100.100.100.200", "192.0.0.192",
    "198.18.0.1", "203.0.113.5", "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
    "2002:7f00:1::1", "2001::1", "2001:db8::1", "100::1", "fd00:ec2::254",
)  # fmt: skip


@pytest.mark.parametrize("address", ORDINARY_ADDRESSES)
def test_ordinary_addresses_are_fetched_from(address: str) -> None:
    assert ORDINARY.admit(address)


@pytest.mark.parametrize("address", SPECIAL_ADDRESSES)
def test_special_addresses_are_not(address: str) -> None:
    assert not ORDINARY.admit(address)


def test_the_owner_allows_networks_by_name() -> None:
    networks = Networks.parse("127.0.0.0/8 fe80::/10")
    assert networks.admit("127.0.0.1")
    assert networks.admit("::ffff:127.0.0.1")
    assert networks.admit("fe80::1%eth0")
    assert not networks.admit("169.254.0.1")
    assert not networks.admit("::1")
    assert Networks.parse("") == ORDINARY
    for text in ("127.0.0.1/8", "car", "10.0.0.0/33"):
        with pytest.raises(StorageError, match="allowed_networks"):
            Networks.parse(text)


@pytest.mark.parametrize("url", ["http://127.0.0.1:40123", "http://[::1]:1234", "http://localhost"])
def test_whoever_is_reached_at_loopback_has_its_fleet_there(url: str) -> None:
    assert ORDINARY.seen_from(url).admit("127.0.0.1")
    assert not ORDINARY.seen_from(url).admit("169.254.0.1")
    assert not ORDINARY.seen_from("http://10.0.0.7:1234").admit("127.0.0.1")


@pytest.fixture
def service() -> Iterator[socket.socket]:
    """A service of this host that no stranger should make anybody connect to."""
    with socket.create_server(
        ("", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=50
    ) as listener:
        listener.setblocking(False)
        yield listener


def was_reached(service: socket.socket) -> bool:
    try:
        service.accept()[0].close()
    except BlockingIOError:
        return False
    return True


HOSTS = (
    "127.0.0.1", "127.3.2.1", "localhost", "0.0.0.0", "2130706433", "0x7f.1", "127.1",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
)  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nobody_makes_a_vehicle_connect_to_its_own_host(
    vehicle: Vehicle, service: socket.socket, host: str, scheme: str
) -> None:
    car = vehicle(advertised_host="192.168.0.7")
    url = f"{scheme}://{host}:{service.getsockname()[1]}"
    with pytest.raises(NotFound, match=f"{service.getsockname()[1]}: cannot be reached"):
        car.get(cid_of(b"x"), [url])
    assert not was_reached(service)


def test_what_is_checked_is_what_is_connected_to(
    vehicle: Vehicle, service: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that has another address each time it is looked up: first a bad, then a good one."""
    port = service.getsockname()[1]
    answers = iter(["127.0.0.1", "192.0.2.1"])

    def look_up(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    car = vehicle(advertised_host="192.168.0.7")
    with pytest.raises(NotFound, match=r"127\.0\.0\.1 is a special address"):
        car.get(cid_of(b"x"), [f"http://rebinding.example:{port}"])
    assert next(answers) == "192.0.2.1"
    assert not was_reached(service)


def test_a_name_of_many_addresses_is_not_tried_for_long(
    service: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = service.getsockname()[1]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 1000
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    tried = []
    monkeypatch.setattr(Networks, "admit", lambda _, address: tried.append(address))
    with pytest.raises(OSError, match="special address"):
        ORDINARY.connect("many.example", port, 1.0)
    assert len(tried) == MAX_ADDRESSES


@pytest.mark.parametrize("port", [22, 1023])
def test_a_port_from_which_nobody_fetches_is_not_announced(port: int) -> None:
    with pytest.raises(StorageError, match="port"):
        gateway_url("10.0.0.7", port)
    assert gateway_url("10.0.0.7", 443).endswith(":443")
