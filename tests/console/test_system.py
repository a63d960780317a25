"""What `bift system show` makes of what vehicles say."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy", reason="the command needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.console.system import mark_silent, task_line
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.monitoring.status_json import status_from_json


def status(**fields: Any) -> VehicleStatus:
    return status_from_json({"name": "car", "state": "idle", **fields})


def test_who_has_not_spoken_for_long_is_silent() -> None:
    heard = {"car": status(), "bus": status()}
    marked = mark_silent(heard, {"car": 100.0, "bus": 88.0}, now=101.0)
    assert marked["car"] == heard["car"]
    assert marked["bus"].state == "silent for 13 s"
    assert heard["bus"].state == "idle"


def test_the_task_is_told_by_who_is_furthest() -> None:
    lights = {"model_id": "lights", "total_iter": 3}
    behind = status(**lights, height=1)
    ahead = status(**lights, height=2, current_iter=1, accuracy=0.875, rule="robust")
    assert task_line({"car": status()}) == ""
    assert task_line({"car": behind}) == "lights: iteration 0/3"
    assert task_line({"car": behind, "bus": ahead}) == (
        "lights: iteration 1/3, accuracy 87.5%, by robust"
    )
