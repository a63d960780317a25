"""A stranger in the vehicle's network, who names its address, doesn't reach its own bus."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.fleet.runtimes.namespaces import enter_namespace
from bift_ros.fleet.runtimes.network import FleetNetwork, NetworkError, fleet_network

pytestmark = [pytest.mark.ros, pytest.mark.slow]

# Each stays until somebody writes to it; then it tells what it saw.
VEHICLE = """
import sys, threading
from bift_msgs.msg import Tip, TrafficLightArray
from bift_ros.nodes.background_node import BackgroundNode
from bift_ros.nodes.buses import Bus
heard = {bus: threading.Event() for bus in Bus}
nodes = {bus: BackgroundNode(bus, "vehicle", "car") for bus in Bus}
nodes[Bus.OWN].node.create_subscription(
    TrafficLightArray, "traffic_lights", lambda _: heard[Bus.OWN].set(), 10
)
nodes[Bus.FLEET].node.create_subscription(Tip, "tips", lambda _: heard[Bus.FLEET].set(), 10)
for node in nodes.values():
    node.start()
print("ready", flush=True)
assert heard[Bus.FLEET].wait(60)
print("fleet", flush=True)
sys.stdin.readline()
print("own", heard[Bus.OWN].is_set(), flush=True)
for node in nodes.values():
    node.close()
"""
STRANGER = """
import sys, time
from bift_msgs.msg import Tip, TrafficLightArray
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus
own, fleet = BusNode(Bus.OWN, "stranger", "car"), BusNode(Bus.FLEET, "stranger", "car")
labels = own.node.create_publisher(TrafficLightArray, "traffic_lights", 10)
tips = fleet.node.create_publisher(Tip, "tips", 10)
until = time.monotonic() + float(sys.argv[1])
while time.monotonic() < until:
    labels.publish(TrafficLightArray())
    tips.publish(Tip())
    time.sleep(0.05)
print(labels.get_subscription_count(), tips.get_subscription_count(), flush=True)
own.close()
fleet.close()
"""
VARIABLES = {
    "ROS_DOMAIN_ID": "1",
    "BIFT_FLEET_DOMAIN_ID": "2",
    "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",  # namespaces of one host share its memory
}


@pytest.fixture
def network() -> Iterator[FleetNetwork]:
    try:
        with fleet_network(["vehicle", "stranger"]) as made:
            yield made
    except NetworkError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("opened", [False, True], ids=["closed", "opened by its settings"])
def test_only_the_fleets_bus_is_in_the_network(network: FleetNetwork, opened: bool) -> None:
    everywhere = {
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "ROS_STATIC_PEERS": network.address_of("vehicle"),
    }
    with ExitStack() as stack:

        def start(name: str, code: str, *arguments: str, **more: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments],
                env={k: v for k, v in os.environ.items() if not k.startswith("ROS_")}
                | VARIABLES
                | more,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                preexec_fn=partial(enter_namespace, network.namespaces[name]),
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        vehicle = start("vehicle", VEHICLE, **(everywhere if opened else {}))
        assert vehicle.stdout is not None
        assert vehicle.stdout.readline() == "ready\n"
        stranger = start("stranger", STRANGER, "5", **everywhere)
        found, _ = stranger.communicate(timeout=60)
        assert vehicle.stdout.readline() == "fleet\n"
        told, _ = vehicle.communicate("\n", timeout=60)
    assert found == ("1 1\n" if opened else "0 1\n")
    assert told == f"own {opened}\n"
