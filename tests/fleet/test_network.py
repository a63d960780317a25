"""Network namespaces for a fleet: who reaches whom, and that nothing of them remains."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bift_ros.fleet.runtimes import network as network_module
from bift_ros.fleet.runtimes.namespaces import enter_namespace, new_namespace
from bift_ros.fleet.runtimes.network import FleetNetwork, NetworkError, fleet_network

PORT = 5000
GROUP = "239.255.0.1"


@pytest.fixture
def network() -> Iterator[FleetNetwork]:
    try:
        with fleet_network(["a", "b"], ["c", "d"]) as made:
            yield made
    except NetworkError as error:
        pytest.skip(str(error))


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Hold this thread in a namespace, and bring it back."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter_namespace(namespace)
        try:
            yield
        finally:
            enter_namespace(home)
    finally:
        os.close(home)


def reaches(network: FleetNetwork, sender: str, receiver: str, multicast: bool = False) -> bool:
    address = network.address_of(receiver)
    target = GROUP if multicast else address
    with (
        inside(network.namespaces[receiver]),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiving,
    ):
        receiving.bind((target, PORT))
        if multicast:
            membership = socket.inet_aton(GROUP) + socket.inet_aton(address)
            receiving.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        with (
            inside(network.namespaces[sender]),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending,
        ):
            sending.sendto(b"hello", (target, PORT))
        receiving.settimeout(1.0)
        try:
            return receiving.recv(10) == b"hello"
        except TimeoutError:
            return False


@pytest.mark.parametrize("multicast", [False, True])
def test_a_cut_parts_the_sides_and_healing_joins_them(
    network: FleetNetwork, multicast: bool
) -> None:
    assert reaches(network, "a", "b", multicast)
    assert reaches(network, "a", "c", multicast)
    network.cut()
    assert reaches(network, "a", "b", multicast)
    assert reaches(network, "c", "d", multicast)
    assert not reaches(network, "a", "c", multicast)
    network.heal()
    assert reaches(network, "c", "a", multicast)


def test_the_host_sees_nothing_of_it(network: FleetNetwork) -> None:
    links = Path("/proc/self/net/dev").read_text()
    assert not any(name in links for name in ("switch-", "cable-", "port-"))


def test_an_error_leaves_no_namespace_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises((KeyboardInterrupt, NetworkError)), fleet_network(["a"], ["b"]):
        raise KeyboardInterrupt
    assert len(os.listdir("/proc/self/fd")) == before


def test_without_the_right_the_remedy_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(network_module, "new_namespace", refuse)
    with pytest.raises(NetworkError, match="as root"), fleet_network(["a"], ["b"]):
        pass


def test_without_iproute2_the_remedy_is_said(
    network: FleetNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_module.shutil, "which", lambda *_, **__: None)
    with pytest.raises(NetworkError, match="iproute2"), fleet_network(["a"], ["b"]):
        pass


def test_what_ip_refuses_is_said(network: FleetNetwork) -> None:
    with pytest.raises(NetworkError, match="could not set up"):
        network_module._ip(network.namespaces["a"], ["link set nothing up"])


def test_a_thread_makes_it_and_others_stay_where_they_are(network: FleetNetwork) -> None:
    home = os.stat("/proc/thread-self/ns/net").st_ino
    namespace = new_namespace()
    try:
        assert os.stat("/proc/thread-self/ns/net").st_ino == home
        with inside(namespace):
            seen = subprocess.run(
                ["cat", "/proc/self/net/dev"], capture_output=True, text=True, check=True
            ).stdout
        assert "eth0" not in seen
    finally:
        os.close(namespace)
