"""config/rviz/bift.rviz fits what is published: each topic, its type and its QoS.

RViz itself is in no Python wheel, so the file is read here and the topics are looked up in the ROS
graph. The names of classes and properties are those of rviz_default_plugins in Jazzy.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from visualization_msgs.msg import MarkerArray

from bift_ros.consensus.genesis import save_genesis
from bift_ros.monitoring import colours
from bift_ros.nodes import parameters
from bift_ros.nodes.observer.camera_view_node import CameraViewNode
from bift_ros.nodes.observer.monitor_node import MonitorNode
from world.consortium import LearningConsortium

pytestmark = pytest.mark.ros

REPOSITORY = Path(__file__).parents[2]
FILE = REPOSITORY / "config" / "rviz" / "bift.rviz"
GUIDE = (REPOSITORY / "docs" / "rviz.md").read_text()
TYPES = {
    "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
    "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
}
WITHOUT_TOPIC = {"rviz_default_plugins/Grid"}


def manager() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text())["Visualization Manager"]


def displays() -> dict[str, dict[str, Any]]:
    """The displays that read a topic, by the topic's name."""
    found = manager()["Displays"]
    assert {each["Class"] for each in found} <= {*TYPES, *WITHOUT_TOPIC}
    return {each["Topic"]["Value"]: each for each in found if "Topic" in each}


def profile_of(topic: dict[str, Any]) -> QoSProfile:
    """What RViz subscribes with."""
    return QoSProfile(
        depth=topic["Depth"],
        history={"Keep Last": HistoryPolicy.KEEP_LAST}[topic["History Policy"]],
        reliability={
            "Reliable": ReliabilityPolicy.RELIABLE,
            "Best Effort": ReliabilityPolicy.BEST_EFFORT,
        }[topic["Reliability Policy"]],
        durability={
            "Volatile": DurabilityPolicy.VOLATILE,
            "Transient Local": DurabilityPolicy.TRANSIENT_LOCAL,
        }[topic["Durability Policy"]],
        liveliness=LivelinessPolicy.AUTOMATIC,  # what the default is
    )


@pytest.fixture
def published(ros: Any) -> Iterator[Any]:
    """A node that sees the graph in which all that Bift publishes for displays is published."""
    ros.start("-p", "vehicle:=car")
    monitor = MonitorNode()
    monitor.start()
    camera = ros.add(CameraViewNode())
    camera.start()
    yield ros.node("graph")
    camera.stop()
    monitor.stop()


def test_each_topic_is_published_with_the_type_and_qos_that_rviz_asks_for(
    ros: Any, published: Any
) -> None:
    shown = displays()
    assert set(shown) == {
        "/bift/scene/vehicles", "/bift/scene/chain", "/bift/scene/messages", "/bift/camera_view",
    }  # fmt: skip
    for name, display in shown.items():
        ros.spin_until(
            lambda name=name: bool(published.get_publishers_info_by_topic(name)), what=name
        )
        [publisher] = published.get_publishers_info_by_topic(name)
        assert publisher.topic_type == TYPES[display["Class"]], name
        compatible, reason = qos_check_compatible(
            publisher.qos_profile, profile_of(display["Topic"])
        )
        assert compatible == QoSCompatibility.OK, f"{name}: {reason}"


def test_everything_is_switched_on_and_seen_from_where_it_stands() -> None:
    assert all(each["Enabled"] and each["Value"] for each in manager()["Displays"])
    [frame] = [setting.default for setting in parameters.SCENE if setting.name == "frame"]
    assert manager()["Global Options"]["Fixed Frame"] == frame
    view = manager()["Views"]["Current"]
    assert view["Class"] == "rviz_default_plugins/Orbit"
    assert 30 <= view["Distance"] <= 150


def test_the_displays_have_names_of_their_own() -> None:
    names = [each["Name"] for each in manager()["Displays"]]
    assert len(set(names)) == len(names)


@pytest.mark.slow
@pytest.mark.usefixtures("plain_transport")
def test_the_guides_commands_publish_what_the_file_shows(ros: Any, tmp_path: Path) -> None:
    [block] = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    save_genesis(tmp_path / "genesis.json", LearningConsortium(3).genesis)
    there = block.replace("genesis.json", str(tmp_path / "genesis.json"))
    commands = [shlex.split(line) for line in there.splitlines()]
    ros.start()
    graph = ros.node("graph")
    drawn: list[MarkerArray] = []
    graph.create_subscription(MarkerArray, "/bift/scene/vehicles", drawn.append, 10)
    started = [subprocess.Popen(command, cwd=REPOSITORY) for command in commands]
    try:
        for name in displays():
            ros.spin_until(
                lambda name=name: bool(graph.get_publishers_info_by_topic(name)), 120.0, name
            )
        ros.spin_until(lambda: len(drawn) > 1, what="a picture, and later another one")
        for process in started:
            process.send_signal(signal.SIGINT)
        assert [process.wait(60) for process in started] == [0] * len(commands)
    finally:
        for process in started:
            process.kill()


def test_the_guide_names_every_topic_that_is_shown_and_the_file() -> None:
    assert [name for name in displays() if f"`{name}`" not in GUIDE] == []
    assert f"`rviz2 -d {FILE.relative_to(REPOSITORY)}`" in GUIDE


def test_the_guide_names_every_state_and_its_colour() -> None:
    for state, colour in colours.VEHICLE_STATES.items():
        [named] = re.findall(rf"^\| ([a-z ]+) \| {state}\b", GUIDE, re.MULTILINE)
        assert getattr(colours, named.upper().replace(" ", "_")) == colour, state
