"""A flood on one topic of the fleet's bus lets what comes on the others through."""

from __future__ import annotations

import struct
import threading
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import Block, Transaction
from rclpy.duration import Duration

from adversary.forged_types import ANY_MESSAGE, named
from bift_ros.nodes import fleet_topics, qos
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.vehicle.fleet_bus import FleetBus

pytestmark = pytest.mark.ros

FLOOD = 200  # as many as the reader keeps
BLOCK = b"\0\1\0\0" + struct.pack("<I", 9) + bytes(9)


def test_a_block_does_not_wait_behind_all_transactions_that_came_before_it(ros: Any) -> None:
    arrived: list[type] = []
    first, go_on, done = (threading.Event() for _ in range(3))

    def note(kind: type, _: bytes) -> None:
        arrived.append(kind)
        first.set()
        assert go_on.wait(60)
        if len(arrived) > FLOOD:
            done.set()

    bus = FleetBus("car", note)
    stranger, member = BusNode(Bus.FLEET, "stranger"), BusNode(Bus.FLEET, "member")
    with named("Transaction"):
        flood = stranger.node.create_publisher(
            ANY_MESSAGE, fleet_topics.TRANSACTIONS, qos.FLEET_READER
        )
    with named("Block"):
        honest = member.node.create_publisher(ANY_MESSAGE, fleet_topics.BLOCKS, qos.BLOCKS)
    for _ in range(600):
        if flood.get_subscription_count() and honest.get_subscription_count():
            break
        stranger.executor.spin_once(timeout_sec=0.05)
    bus.start()
    flood.publish(BLOCK)
    assert first.wait(60)
    for _ in range(FLOOD - 1):
        flood.publish(BLOCK)
    assert flood.wait_for_all_acked(Duration(seconds=60))
    honest.publish(BLOCK)
    assert honest.wait_for_all_acked(Duration(seconds=60))
    go_on.set()
    assert done.wait(60)
    bus.close()
    for node in (stranger, member):
        node.close()
    assert arrived.count(Transaction) == FLOOD
    assert arrived.index(Block) < FLOOD
