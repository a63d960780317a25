"""./bift bench monitor: a real monitor beside simulated vehicles; not how cheap it is."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.benchmarks import monitor
from bift_ros.console.main import main

pytestmark = pytest.mark.ros


def test_a_line_for_each_interval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(monitor, "SETTLE_SECONDS", 0.1)
    arguments = ["--vehicles", "2", "--seconds", "1", "--intervals", "2", "--json"]
    assert main(["bench", "monitor", *arguments]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["bench"], line["vehicles"]) for line in lines] == [("monitor", 2)] * 2
    assert all(line["core_percent"] >= 0 and line["rss_mb"] > 20 for line in lines)
    assert all(line["listener_percent"] >= 0 for line in lines)
