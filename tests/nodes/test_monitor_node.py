"""The monitor over real DDS: what it publishes, and that rqt's perspective opens on that."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_msgs.msg import Tip, VehicleStatus
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile
from std_msgs.msg import Float64

from bift_ros.monitoring.status_json import status_from_json
from bift_ros.nodes import qos
from bift_ros.nodes.observer.monitor_node import MonitorNode
from bift_ros.nodes.status_message import status_to_message
from nodes import monitor_topics
from world.messages import unsigned_tip

pytestmark = pytest.mark.ros

PERSPECTIVE = Path(__file__).parents[2] / "config" / "rqt" / "bift.perspective"
ADDRESS, TIP = "a" * 40, "11" * 32
OK, WARN, STALE = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.STALE


class Car:
    """A vehicle that says what a test wants."""

    def __init__(self, ros: Any) -> None:
        self._node = ros.node("peer")
        tips = ros.fleet_node("peer").create_publisher(Tip, "/bift/tips", qos.TIPS)
        tips.publish(unsigned_tip("car", ADDRESS, bytes.fromhex(TIP), 4))
        self._status = self._node.create_publisher(VehicleStatus, "/car/status", qos.STATUS)

    def say(self, **fields: Any) -> None:
        common = {"name": "car", "address": ADDRESS, "tip": TIP, "height": 4, "samples": 3}
        status = status_from_json({**common, **fields})
        self._status.publish(status_to_message(status, Time()))


@pytest.fixture
def monitor(ros: Any) -> Iterator[MonitorNode]:
    ros.start("-p", "stale_seconds:=1.5")
    node = ros.add(MonitorNode())
    node.start()
    yield node
    node.stop()


class Rqt:
    """Listens as rqt does: reliable, nothing latched."""

    def __init__(self, ros: Any, topic: str) -> None:
        self._ros, self.statuses = ros, {}
        node = ros.node("rqt")
        node.create_subscription(DiagnosticArray, topic, self._take, QoSProfile(depth=10))

    def _take(self, array: DiagnosticArray) -> None:
        assert array.header.stamp.sec > 0
        self.statuses = {status.name: status for status in array.status}

    def wait(self, name: str, level: bytes) -> DiagnosticStatus:
        self._ros.spin_until(
            lambda: name in self.statuses and self.statuses[name].level == level,
            what=f"{name} at level {level!r}",
        )
        return self.statuses[name]


def test_diagnostics_follow_a_vehicle(ros: Any, monitor: MonitorNode) -> None:
    car, rqt = Car(ros), Rqt(ros, "/diagnostics")
    ros.spin_until(lambda: "car" in monitor.view.vehicles)
    assert rqt.wait("bift/car: storage", STALE).message == "not heard yet"
    car.say(disk_free_mb=1000)
    low = rqt.wait("bift/car: storage", WARN)
    assert (low.message, low.hardware_id) == ("disk low: 1000 MiB left", ADDRESS)
    assert {value.key: value.value for value in low.values}["free MiB"] == "1000"
    assert rqt.wait("bift/car: consensus", OK).message == "at height 4"
    assert rqt.wait("bift/fleet: consensus", OK).message == "1 of 1 vehicles agree"
    assert "not heard for" in rqt.wait("bift/car: storage", STALE).message


def test_numbers_are_told_when_they_change(ros: Any, monitor: MonitorNode) -> None:
    car, told = Car(ros), []
    node = ros.node("plot")
    node.create_subscription(
        Float64, "/bift/monitor/car/stake", lambda m: told.append(m.data), qos.STATUS
    )
    rounds = Rqt(ros, "/diagnostics")
    for stake in (20, 40):
        car.say(balance=stake, disk_free_mb=10_000)
        ros.spin_until(lambda stake=stake: told[-1:] == [float(stake)])
    car.say(balance=40, disk_free_mb=1000)
    rounds.wait("bift/car: storage", WARN)  # the same stake has been looked at again
    assert told == [20.0, 40.0]


def test_every_topic_of_the_table_is_published_and_no_other(ros: Any, monitor: MonitorNode) -> None:
    Car(ros).say()
    expected = {
        topic: [f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"]
        for topic, kind in monitor_topics.topics("car").items()
    }

    def published() -> dict[str, list[str]]:
        found = dict(monitor.get_publisher_names_and_types_by_node("monitor", "/bift"))
        return {t: k for t, k in found.items() if t not in ("/rosout", "/parameter_events")}

    ros.spin_until(lambda: published().keys() >= expected.keys())
    assert published() == expected
    assert monitor.count_publishers("/diagnostics_agg") == 0  # the aggregator's own


def test_the_perspective_opens_on_what_is_published() -> None:
    plugins = json.loads(PERSPECTIVE.read_text())["groups"]["pluginmanager"]
    running = ast.literal_eval(plugins["keys"]["running-plugins"]["repr"])
    assert {"rqt_robot_monitor/RobotMonitor", "rqt_plot/Plot"} <= set(running)
    plotted = []
    for name, group in plugins["groups"].items():
        plugin, _, number = name.removeprefix("plugin__").rpartition("__")
        assert int(number) in running[plugin.replace("__", "/")]
        plotted += ast.literal_eval(group["groups"]["plugin"]["keys"]["topics"]["repr"])
    numbers = {t for t, kind in monitor_topics.topics().items() if kind is Float64}
    assert sorted(plotted) == sorted(f"{topic}/data" for topic in numbers)
