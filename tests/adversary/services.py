"""Attacks on catch-up, and by what else can stand on a bus: names, endpoints, old interfaces."""

from __future__ import annotations

import random
import struct
import time
from typing import Any

import cv2
import numpy as np
from action_msgs.srv import CancelGoal
from bift_msgs import msg, srv
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from sensor_msgs.msg import CompressedImage, RegionOfInterest
from std_msgs.msg import String

from adversary.forged_types import ANY_MESSAGE, ANY_SERVICE, named, service_named
from adversary.png import bomb
from adversary.stranger import CATCH_UP, Attack, Attacker, real_client
from bift_ros.nodes import qos
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus

IN_FLIGHT = 64
"""Requests that one attacker has sent and got no answer to, for each service."""
HUGE_REQUEST = 20_000_000
ENDPOINTS = 240
SERVED = ("get_headers", "get_blocks")
FORMER = ("train/_action/send_goal", "train/_action/get_result", "train/_action/cancel_goal")
"""Services of vehicles as they once were."""


def junk_requests(attacker: Attacker) -> None:
    """Huge and malformed requests to every catch-up service of every vehicle."""
    clients = [attacker.client(v, s) for v in attacker.target.vehicles for s in SERVED]
    rng = random.Random(3)
    while attacker.running:
        for client in clients:
            for names in (
                [chr(97 + rng.randrange(26)) * rng.randrange(500) for _ in range(40)],
                ["", "\xff" * 7],
                [],
                ["a" * HUGE_REQUEST] if rng.random() < 0.1 else ["a" * 2000],
            ):
                client.call_async(GetParameters.Request(names=names))
                attacker.sent += 1
        attacker.spin(0.05)


def many_requests(attacker: Attacker) -> dict[str, Any]:
    """Every catch-up service asked for all it gives, as fast as it answers and much at once."""
    headers = srv.GetHeaders.Request(from_height=1, limit=2**32 - 1)
    clients = [
        real_client(attacker, vehicle, "get_headers") for vehicle in attacker.target.vehicles
    ]
    waiting: list[Any] = []
    answers = 0
    while attacker.running:
        for client in clients:
            while sum(1 for c, _ in waiting if c is client) < IN_FLIGHT:
                headers.from_height = 2**64 - 1 if attacker.sent % 7 == 0 else 1
                waiting.append((client, client.call_async(headers)))
                attacker.sent += 1
        attacker.spin(0.02)
        answers += sum(1 for _, future in waiting if future.done())
        waiting = [(client, future) for client, future in waiting if not future.done()]
    return {"answers": answers}


def rogue_servers(attacker: Attacker) -> dict[str, Any]:
    """Second servers under the vehicles' names, which answer much, wrongly or not at all."""
    answered = [0]

    def answer(_: Any, response: Any) -> Any:
        answered[0] += 1
        size = (20_000_000, 1000, 0)[answered[0] % 3]
        response.values = [
            ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="a" * size)
        ]
        return response

    for vehicle in (*attacker.target.vehicles, "vehicle_03"):
        for service in CATCH_UP:
            with service_named(CATCH_UP[service]):
                attacker.node().node.create_service(ANY_SERVICE, f"/{vehicle}/{service}", answer)
    while attacker.running:
        attacker.spin(0.2)
    attacker.sent = answered[0]
    return {"answers": answered[0]}


def _ignore(_: Any) -> None:
    pass


def crowd(attacker: Attacker) -> dict[str, Any]:
    """Hundreds of endpoints of several participants, and names that are the vehicles' own."""
    nodes = [BusNode(Bus.FLEET, "peer", "vehicle_00") for _ in range(4)]
    kept = []
    for number in range(ENDPOINTS):
        node = nodes[number % len(nodes)].node
        if number % 3 == 0:
            kept.append(node.create_publisher(String, f"/crowd/topic_{number}", 10))
        elif number % 3 == 1:
            kept.append(node.create_subscription(msg.Block, "/bift/blocks", _ignore, 1))
        else:  # other types under the fleet's names
            names = ("/bift/transactions", "/bift/tips", "/vehicle_00/get_state", "/rosout")
            kept.append(node.create_publisher(String, names[number % len(names)], 10))
    while attacker.running:
        for node in nodes:
            node.executor.spin_once(timeout_sec=0.05)
        time.sleep(0.05)
    for node in nodes:
        node.close()
    return {"endpoints": len(kept)}


def comes_and_goes(attacker: Attacker) -> None:
    """A participant that joins and leaves, again and again."""
    while attacker.running:
        node = BusNode(Bus.FLEET, "peer", "vehicle_01")
        node.node.create_subscription(msg.Tip, "/bift/tips", lambda _: None, qos.FLEET_READER)
        node.node.create_publisher(msg.Tip, "/bift/tips", qos.TIPS)
        for _ in range(5):
            node.executor.spin_once(timeout_sec=0.05)
        node.close()
        attacker.sent += 1


def former_interfaces(attacker: Attacker) -> dict[str, Any]:
    """Training's action and parameters, on both buses: asked of vehicles, and answered for them."""
    found, asked = [], [0]

    def answer(_: Any, response: Any) -> Any:
        asked[0] += 1
        return response

    clients = []
    for bus in Bus:
        node = attacker.node(bus).node
        for vehicle in attacker.target.vehicles:
            clients += [
                (bus, node.create_client(CancelGoal, f"/{vehicle}/{FORMER[2]}"), CancelGoal),
                (bus, node.create_client(SetParameters, f"/{vehicle}/vehicle/set_parameters"),
                 SetParameters),
                (bus, node.create_client(SetParameters, f"/{vehicle}/peer/set_parameters"),
                 SetParameters),
            ]  # fmt: skip
    simtime = SetParameters.Request(
        parameters=[Parameter(name="use_sim_time", value=ParameterValue(type=1, bool_value=True))]
    )
    for bus in Bus:
        attacker.spin(3.0, bus)
    for bus, client, kind in clients:
        if client.service_is_ready():
            found.append(f"{bus.name} {client.srv_name}")
        client.call_async(simtime if kind is SetParameters else CancelGoal.Request())
        attacker.sent += 1
    for bus in Bus:
        node = attacker.node(bus).node
        for vehicle in attacker.target.vehicles:
            for name in FORMER[:2]:
                with service_named(f"Train_{'SendGoal' if 'send' in name else 'GetResult'}"):
                    node.create_service(ANY_SERVICE, f"/{vehicle}/{name}", answer)
    while attacker.running:
        for bus in Bus:
            attacker.spin(0.2, bus)
    return {"found": found, "asked": asked[0]}


def _picture(colour: tuple[int, int, int]) -> bytes:
    done, encoded = cv2.imencode(".jpg", np.full((480, 640, 3), colour, np.uint8))
    assert done
    return bytes(encoded)


def _light(name: str) -> msg.TrafficLight:
    region = RegionOfInterest(x_offset=10, y_offset=10, height=90, width=40)
    return msg.TrafficLight(signal_class=name, region=region)


def _show(attacker: Attacker, bus: Bus, picture: bytes, kind: str) -> None:
    node, writers = attacker.node(bus).node, []
    for vehicle in attacker.target.vehicles:
        writers.append(
            (
                node.create_publisher(
                    CompressedImage, f"/{vehicle}/camera/image_raw/compressed", qos.REPLAY
                ),
                node.create_publisher(
                    msg.TrafficLightArray, f"/{vehicle}/traffic_lights", qos.REPLAY
                ),
            )
        )
    attacker.spin(2.0, bus)
    while attacker.running:
        for images, labels in writers:
            image = CompressedImage(format=kind, data=picture)
            image.header.stamp = node.get_clock().now().to_msg()
            lights = msg.TrafficLightArray(header=image.header, lights=[_light("green_circle")])
            labels.publish(lights)
            images.publish(image)
            attacker.sent += 1
        attacker.spin(0.1, bus)


def false_pictures(attacker: Attacker) -> None:
    """Red pictures named green, on the fleet's bus."""
    _show(attacker, Bus.FLEET, _picture((0, 0, 255)), "jpeg")


def png_bombs(attacker: Attacker) -> None:
    """Small pictures of very many pixels, with labels, on the car's own bus."""
    _show(attacker, Bus.OWN, bomb(20_000, 20_000), "png")


def large_graph(attacker: Attacker) -> None:
    """What nodes a participant has, as ROS tells it: 30 MB of junk."""
    with named("ParticipantEntitiesInfo", "rmw_dds_common"):
        writer = attacker.node().node.create_publisher(
            ANY_MESSAGE, "/ros_discovery_info", qos.FLEET_READER
        )
    while attacker.running:
        writer.publish(b"\0\1\0\0" + struct.pack("<I", 2**31) + bytes(30_000_000))
        attacker.sent += 1
        attacker.spin(0.1)


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        junk_requests, many_requests, rogue_servers, crowd, comes_and_goes, former_interfaces,
        false_pictures, png_bombs, large_graph,
    )
}  # fmt: skip
