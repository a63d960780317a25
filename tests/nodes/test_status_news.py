"""A vehicle speaks at once where something has happened, and else seldom."""

from __future__ import annotations

import math
from typing import Any

from bift_msgs import msg

from bift_ros.monitoring.status import DatasetStatus, VehicleStatus
from bift_ros.monitoring.status_json import status_from_json
from bift_ros.nodes import qos
from bift_ros.nodes.vehicle.status import news_of
from bift_ros.nodes.vehicle.vehicle_node import VehicleNode


def test_counters_are_no_news_and_all_else_is() -> None:
    def news(**fields: Any) -> str:
        return news_of(status_from_json({"name": "car", **fields}))

    before = news(loss=math.nan, rss_mb=1, frames_seen=1)
    assert news(loss=math.nan, rss_mb=2, frames_seen=9) == before
    assert news(loss=0.1, rss_mb=1, frames_seen=1) != before
    assert news(loss=math.nan, state="mining") != before


def test_a_vehicle_at_rest_is_looked_at_often_and_speaks_seldom(ros: Any) -> None:
    ros.start("-r", "__ns:=/car", "-p", "status_period:=0.1")
    state, looked = ["idle"], []
    heard: list[str] = []

    def status() -> VehicleStatus:
        looked.append(None)
        dataset = DatasetStatus(frames_seen=len(looked))
        return VehicleStatus("car", state=state[0], dataset=dataset)

    node = ros.add(VehicleNode())
    node.create_subscription(
        msg.VehicleStatus, "status", lambda m: heard.append(m.state), qos.STATUS
    )
    node.serve(status, lambda request, response: response)
    ros.spin_until(lambda: len(looked) >= 12 and heard, what="twelve looks")
    assert len(heard) < len(looked) / 3
    state[0] = "mining"
    ros.spin_until(lambda: "mining" in heard, what="the news")
