"""A dataset that can't be opened, as on a full disk, is opened once it can be."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="the room needs ROS 2: run `make setup`")

from bift_ros.nodes.vehicle import perception_node
from bift_ros.nodes.vehicle.perception_node import PerceptionNode
from bift_ros.perception.pipeline import Pipeline

pytestmark = pytest.mark.ros


def test_it_is_tried_until_there_is_room(
    ros: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    opened = threading.Event()

    def make(*arguments: Any, **settings: Any) -> Pipeline:
        tries.append(1)
        if len(tries) < 3:
            raise sqlite3.OperationalError("database or disk is full")
        opened.set()
        return Pipeline(*arguments, **settings)

    monkeypatch.setattr(perception_node, "Pipeline", make)
    monkeypatch.setattr(perception_node, "_TRY_AGAIN_SECONDS", 0.01)
    ros.start()
    node = ros.add(PerceptionNode(tmp_path / "dataset", lambda samples: None))
    node.start()
    assert opened.wait(60)
    node.stop()


def test_a_vehicle_ends_while_it_waits(
    ros: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(*arguments: Any, **settings: Any) -> Pipeline:
        raise OSError("no space left on device")

    monkeypatch.setattr(perception_node, "Pipeline", make)
    ros.start()
    node = ros.add(PerceptionNode(tmp_path / "dataset", lambda samples: None))
    node.start()
    node.stop()
    node.wait_idle()
