"""What Fast DDS keeps of messages that are larger than their type allows."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import Block
from rclpy.duration import Duration

from adversary.forged_types import ANY_MESSAGE, named
from bift_ros.nodes import fleet_topics, qos
from bift_ros.nodes.background_node import BackgroundNode
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.fast_dds import PROFILES

HUGE = 67_000_000
XML = "{http://www.eprosima.com}"


def test_every_topic_of_the_fleet_and_every_service_is_bounded() -> None:
    profiles = ElementTree.parse(PROFILES).getroot().iter(f"{XML}data_reader")
    policies = {
        profile.get("profile_name"): profile.findtext(f"{XML}historyMemoryPolicy")
        for profile in profiles
    }
    bounded = {name for name, policy in policies.items() if policy == "PREALLOCATED"}
    topics = {fleet_topics.TIPS, fleet_topics.BLOCKS, fleet_topics.TRANSACTIONS}
    assert bounded == topics | {"service", "client"}


@pytest.mark.ros
@pytest.mark.slow
def test_a_message_of_67_mb_takes_no_memory_and_keeps_no_other_out(ros: Any) -> None:
    heard: list[int] = []
    listener = BackgroundNode(Bus.FLEET, "peer", "car")
    listener.node.create_subscription(
        Block, fleet_topics.BLOCKS, lambda data: heard.append(len(data)), qos.FLEET_READER, raw=True
    )
    listener.start()
    sizes = (90_000, HUGE, 80_000)
    messages = [b"\0\1\0\0" + struct.pack("<I", size) + bytes(size) for size in sizes]
    stranger = BusNode(Bus.FLEET, "stranger")
    with named("Block"):
        writers = [
            stranger.node.create_publisher(ANY_MESSAGE, fleet_topics.BLOCKS, qos.FLEET_READER)
            for _ in sizes
        ]
    for _ in range(600):
        if all(writer.get_subscription_count() for writer in writers):
            break
        stranger.executor.spin_once(timeout_sec=0.05)
    for writer, message in zip(writers, messages, strict=True):
        writer.publish(message)
    taken = [writer.wait_for_all_acked(Duration(seconds=5)) for writer in writers]
    assert taken == [True, False, True]
    for _ in range(600):
        if len(heard) == 2:
            break
        stranger.executor.spin_once(timeout_sec=0.05)
    assert sorted(heard) == [80_008, 90_008]
    stranger.close()
    listener.close()
