"""docs/monitoring.md: its tables are complete, and its commands do what it says."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import ChainStatus, Tip, VehicleStatus
from diagnostic_msgs.msg import DiagnosticArray

from bift_ros.console.main import build_parser
from bift_ros.monitoring.vehicle_checks import CHECKS
from bift_ros.nodes import parameters, qos
from nodes import monitor_topics
from world.messages import unsigned_tip

pytestmark = pytest.mark.ros

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "monitoring.md").read_text()
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


def test_every_topic_is_listed_with_its_type() -> None:
    listed = dict(re.findall(r"^\| `(/\S+)` \| `(\S+)` \|", GUIDE, re.MULTILINE))
    assert listed == {
        topic: f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        for topic, kind in monitor_topics.topics("VEHICLE").items()
    }


def test_every_part_and_every_threshold_is_explained() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| .* \| .* \| .*\|$", GUIDE, re.MULTILINE)) == set(CHECKS)
    for setting in parameters.MONITOR:
        assert f"`{setting.name}`" in GUIDE or f"`{setting.name}:=" in GUIDE, setting.name


def test_every_bift_command_parses() -> None:
    ours = [words[1:] for words in COMMANDS if words[0] == "./bift"]
    assert len(ours) == 5
    for words in ours:
        build_parser(words[0]).parse_args(words)


def start(words: list[str], folder: Path) -> subprocess.Popen[str]:
    assert words[0] == "./bift"
    command = [sys.executable, "-m", "bift_ros.console", *words[1:]]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("plain_transport")
def test_a_run_is_recorded_and_watched_again(ros: Any, tmp_path: Path) -> None:
    record, replay = (
        next(words for words in COMMANDS if option in words) for option in ("--record", "replay")
    )
    (tmp_path / "out").mkdir()
    ros.start()
    said: dict[str, str] = {}

    def take(array: DiagnosticArray) -> None:
        said.update((status.name, status.message) for status in array.status)

    node, fleet = ros.node("observer"), ros.fleet_node("observer")
    node.create_subscription(DiagnosticArray, "/diagnostics", take, 10)
    tips = fleet.create_publisher(Tip, "/bift/tips", qos.TIPS)
    tips.publish(unsigned_tip("car", "a" * 40, b"\x11" * 32))
    status = node.create_publisher(VehicleStatus, "/car/status", qos.STATUS)
    status.publish(VehicleStatus(name="car", address="a" * 40, chain=ChainStatus(height=7)))
    with start(record, tmp_path) as monitor:
        try:
            ros.spin_until(lambda: said.get("bift/car: consensus") == "at height 7")
        finally:
            monitor.send_signal(signal.SIGINT)
    assert monitor.returncode == 0
    fleet.destroy_publisher(tips)
    node.destroy_publisher(status)
    heights: list[int] = []
    node.create_subscription(
        VehicleStatus, "/car/status", lambda m: heights.append(m.chain.height), qos.STATUS
    )
    with start(replay, tmp_path) as player:
        ros.spin_until(lambda: heights == [7] or player.poll() is not None)
        assert player.wait(60) == 0
    assert heights == [7]


@pytest.mark.parametrize("words", [["run", "--params-file", "none"], ["replay", "none"]])
def test_what_is_not_there_is_named(words: list[str], tmp_path: Path) -> None:
    with start(["./bift", "monitor", *words], tmp_path) as process:
        assert process.wait(60) == 2
        assert process.stderr is not None
        assert process.stderr.read() == "bift: there is no none\n"
    assert os.listdir(tmp_path) == []
