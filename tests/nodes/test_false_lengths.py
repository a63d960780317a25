"""A request that says it is longer than its type allows is read by nobody."""

from __future__ import annotations

import os
import struct
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs import srv

from adversary.forged_types import BYTES_SERVICE, service_named
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus

pytestmark = pytest.mark.ros
BOUND = 1024
"""Of the hashes in a request for blocks."""
TURNS = 3_000


def request(length: int) -> Any:
    """Hashes of which there are twenty bytes, whatever their length says."""
    made = BYTES_SERVICE.Request()
    made.goal_info.goal_id.uuid = np.frombuffer(struct.pack("<I12x", length), np.uint8)
    return made


def test_no_length_beyond_the_bound_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast CDR would enlarge a service's buffer to any length, and give what it finds there."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(os.getpid() % 100 + 101))
    monkeypatch.setenv("BIFT_FLEET_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    lengths: list[int] = []

    def answer(asked: Any, response: Any) -> Any:
        lengths.append(len(asked.hashes))
        return response

    with ExitStack() as stack:
        vehicle, stranger = (BusNode(Bus.FLEET, name) for name in ("peer", "stranger"))
        for node in (vehicle, stranger):
            stack.callback(node.close)
        vehicle.node.create_service(srv.GetBlocks, "/v/get_blocks", answer)
        with service_named("GetBlocks", forged=BYTES_SERVICE):
            client = stranger.node.create_client(BYTES_SERVICE, "/v/get_blocks")
        assert client.wait_for_service(60)
        said = (BOUND + 1, 60_000, 20)
        for length in said:
            before = len(lengths)
            client.call_async(request(length))
            for _ in range(TURNS if length <= BOUND else TURNS // 100):
                vehicle.executor.spin_once(timeout_sec=0.01)
                if len(lengths) > before:
                    break
    assert lengths == [20]
