"""Which variables lead to which bus, and what is refused."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from bift_ros.nodes.buses import Bus, BusError


def test_the_cars_bus_is_ros_own_and_stays_on_this_computer() -> None:
    assert Bus.OWN.ros_variables({}) == {
        "ROS_DOMAIN_ID": "0",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    given = {
        "ROS_DOMAIN_ID": "7",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "ROS_STATIC_PEERS": "198.51.100.1",
    }
    assert Bus.OWN.ros_variables({**given, "BIFT_FLEET_STATIC_PEERS": "198.51.100.2"}) == given


def test_the_fleets_bus_has_variables_of_its_own() -> None:
    own = {
        "ROS_DOMAIN_ID": "7",
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DISCOVERY_SERVER": "198.51.100.1:1",
    }
    assert Bus.FLEET.ros_variables(own) == {"ROS_DOMAIN_ID": "8"}
    fleet = {"BIFT_FLEET_DOMAIN_ID": "3", "BIFT_FLEET_DISCOVERY_SERVER": "198.51.100.2:2"}
    assert Bus.FLEET.ros_variables({**own, **fleet}) == {
        "ROS_DOMAIN_ID": "3",
        "ROS_DISCOVERY_SERVER": "198.51.100.2:2",
    }


def test_both_buses_have_the_same_security_unless_the_fleets_has_its_own() -> None:
    car = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_KEYSTORE": "/car"}
    domain = {"ROS_DOMAIN_ID": "1"}
    assert Bus.FLEET.ros_variables(car) == {**domain, **car}
    fleet = {"BIFT_FLEET_SECURITY_ENABLE": "true", "BIFT_FLEET_SECURITY_KEYSTORE": "/fleet"}
    on_fleet = {**domain, "ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_KEYSTORE": "/fleet"}
    enclave = {"ROS_SECURITY_ENCLAVE_OVERRIDE": "/driver"}
    assert Bus.FLEET.ros_variables({**car, **enclave, **fleet}) == on_fleet
    assert Bus.FLEET.ros_variables(fleet) == on_fleet
    assert not any("SECURITY" in name for name in Bus.OWN.ros_variables(fleet))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"ROS_DOMAIN_ID": "5", "BIFT_FLEET_DOMAIN_ID": "5"}, "both 5"),
        ({"ROS_DOMAIN_ID": "-1"}, "ROS_DOMAIN_ID is '-1'"),
        ({"BIFT_FLEET_DOMAIN_ID": "x" * 100}, "BIFT_FLEET_DOMAIN_ID is 'xxx"),
        ({"ROS_DOMAIN_ID": "232"}, "BIFT_FLEET_DOMAIN_ID is '233'"),
    ],
)
def test_what_names_no_two_buses_is_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(BusError, match=said) as refused:
        Bus.FLEET.ros_variables(environment)
    assert len(str(refused.value)) < 200


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    monkeypatch.setenv("ROS_STATIC_PEERS", "198.51.100.1")
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE", raising=False)
    before = dict(os.environ)
    with Bus.FLEET.entered():
        assert os.environ["ROS_DOMAIN_ID"] == "8"
        assert "ROS_STATIC_PEERS" not in os.environ
    assert dict(os.environ) == before
    with Bus.OWN.entered():
        assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert dict(os.environ) == before


@pytest.mark.ros
def test_nothing_on_the_cars_bus_listens_to_the_network(ros: Any) -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
    from std_msgs.msg import String
    from std_srvs.srv import Trigger

    from bift_ros.nodes.bus_node import BusNode
    from bift_ros.nodes.loopback import datagram_sockets

    def identity(one: socket.socket) -> int:
        return os.fstat(one.fileno()).st_ino

    # Of fleets that other tests of this process have had, DDS keeps some.
    before = {identity(one) for one in datagram_sockets()}

    def devices() -> list[bytes]:
        option = socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16
        return [
            one.getsockopt(*option).rstrip(b"\0")
            for one in datagram_sockets()
            if identity(one) not in before
        ]

    own = BusNode(Bus.OWN, "car")
    own.node.create_subscription(String, "text", print, 10)
    own.node.create_service(Trigger, "trigger", print)
    descriptors = len(os.listdir("/proc/self/fd"))
    opened = devices()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert opened
    assert set(opened) == {b"lo"}
    fleet = BusNode(Bus.FLEET, "car")
    assert b"" in devices()
    own.close()
    fleet.close()
