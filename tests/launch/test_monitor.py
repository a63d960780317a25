"""monitor.launch.py watches and records; replay.launch.py shows the recorded fleet again."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("launch_pytest", reason="needs ROS 2's launch_pytest, no wheel")

import launch
import launch_pytest
import rclpy
from bift_msgs.msg import ChainStatus, DatasetStatus, Tip, VehicleStatus
from diagnostic_msgs.msg import DiagnosticArray
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from rclpy.executors import SingleThreadedExecutor

from bift_ros.nodes import qos
from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.observer import fleet_recorder
from bift_ros.nodes.observer.fleet_recorder import FleetRecorder
from bift_ros.perception.bags import Bag
from world.messages import unsigned_tip

ROOT = Path(__file__).parents[2]
TIP = unsigned_tip("car", "a" * 40, b"\x11" * 32, 4)
STATUS = VehicleStatus(
    name="car",
    address="a" * 40,
    chain=ChainStatus(tip="11" * 32, height=4),
    dataset=DatasetStatus(samples=3),
)


def start(file: str, **arguments: str) -> IncludeLaunchDescription:
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / file))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


class Observer:
    """Hears /diagnostics, and may speak for the car."""

    def __init__(self) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node("observer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.said: dict[str, str] = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._take, 10)

    def _take(self, array: DiagnosticArray) -> None:
        self.said = {status.name: status.message for status in array.status}

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < deadline, self.said
            self._executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)


@pytest.fixture
def observer(own_domain: None) -> Iterator[Observer]:
    observer = Observer()
    yield observer
    observer.close()


@pytest.fixture
def rqt(tmp_path: Path) -> Path:
    """What stands for rqt, which is in no wheel: it writes down how it is called."""
    log, program = tmp_path / "called", tmp_path / "rqt"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}.part && mv {log}.part {log}\n')
    program.chmod(0o755)
    return log


@launch_pytest.fixture
def watching(rqt: Path, tmp_path: Path) -> launch.LaunchDescription:
    return launch.LaunchDescription(
        [
            SetEnvironmentVariable("PATH", f"{rqt.parent}:{os.environ['PATH']}"),
            start("monitor.launch.py", rqt="true", rviz="false", record=str(tmp_path / "bag")),
            launch_pytest.actions.ReadyToTest(),
        ]
    )


@pytest.mark.launch(fixture=watching)
def test_the_monitor_watches_and_records(
    observer: Observer, rqt: Path, tmp_path: Path
) -> Iterator[None]:
    fleet = BusNode(Bus.FLEET, "car")
    fleet.node.create_publisher(Tip, "/bift/tips", qos.TIPS).publish(TIP)
    status = observer.node.create_publisher(VehicleStatus, "/car/status", qos.STATUS)
    status.publish(STATUS)
    observer.wait(lambda: observer.said.get("bift/car: consensus") == "at height 4")
    observer.wait(rqt.exists)
    called = rqt.read_text().splitlines()
    assert called[:2] == ["--force-discover", "--perspective-file"]
    assert Path(called[2]).is_file()
    fleet.close()
    yield
    with Bag(tmp_path / "bag") as bag:
        assert not bag.recovered  # it was completed
        assert set(bag.topics) == {"/bift/tips", "/car/status"}


@pytest.fixture
def bag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a minute, in which the car says the same each second."""
    clock = itertools.count(1, 10**9)
    with monkeypatch.context() as patch:
        patch.setattr(fleet_recorder.time, "time_ns", clock.__next__)
        recorder = FleetRecorder(tmp_path / "recorded")
        recorder.take("/bift/tips", TIP)
        for _ in range(60):
            recorder.take("/car/status", STATUS)
        recorder.close()
    return tmp_path / "recorded"


@launch_pytest.fixture
def replaying(bag: Path) -> launch.LaunchDescription:
    return launch.LaunchDescription(
        [
            start("monitor.launch.py", rviz="false"),
            start("replay.launch.py", monitoring=str(bag)),
            launch_pytest.actions.ReadyToTest(),
        ]
    )


@pytest.mark.launch(fixture=replaying)
def test_a_recorded_fleet_is_watched_again(observer: Any) -> None:
    observer.wait(lambda: observer.said.get("bift/car: consensus") == "at height 4")
