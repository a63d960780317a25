"""A reader that hears many writers loses none of them."""

from __future__ import annotations

import os
import time

import pytest

rclpy = pytest.importorskip("rclpy")
msg = pytest.importorskip("bift_msgs.msg", exc_type=ImportError)

from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402

from bift_ros.nodes import qos  # noqa: E402

pytestmark = pytest.mark.ros


def test_tips_said_at_one_moment_all_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=os.getpid() % 100 + 101)
    node = Node("fleet", context=context, enable_rosout=False, start_parameter_services=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    heard: set[str] = set()
    node.create_subscription(msg.Tip, "/bift/tips", lambda m: heard.add(m.name), qos.FLEET_READER)
    writers = [node.create_publisher(msg.Tip, "/bift/tips", qos.TIPS) for _ in range(10)]
    deadline = time.monotonic() + 60
    try:
        while min(w.get_subscription_count() for w in writers) < 1:
            assert time.monotonic() < deadline, "the endpoints did not find each other"
            executor.spin_once(timeout_sec=0.1)
        for number, writer in enumerate(writers):
            writer.publish(msg.Tip(name=f"vehicle_{number:02d}"))
        while len(heard) < len(writers) and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        assert len(heard) == len(writers)
    finally:
        rclpy.shutdown(context=context)
