"""replay.launch.py: a bag's frames arrive in another vehicle's namespace."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

pytest.importorskip("launch_pytest", reason="needs ROS 2's launch_pytest, no wheel")

import launch
import launch_pytest
import rclpy
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable
from launch.launch_description_sources import PythonLaunchDescriptionSource
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "rosbags" / "sample"


def replay(**arguments: str) -> IncludeLaunchDescription:
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / "replay.launch.py"))
    given = {"bag": str(SAMPLE), "vehicle": "car_7", **arguments}
    return IncludeLaunchDescription(source, launch_arguments=given.items())


@launch_pytest.fixture
def bifts_player() -> launch.LaunchDescription:
    return launch.LaunchDescription([replay(rate="5"), launch_pytest.actions.ReadyToTest()])


@pytest.mark.launch(fixture=bifts_player)
def test_frames_arrive(own_domain: None) -> None:
    frames: list[CompressedImage] = []
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("listener", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    node.create_subscription(
        CompressedImage,
        "/car_7/camera/image_raw/compressed",
        frames.append,
        qos_profile_sensor_data,
    )
    arrived = rclpy.task.Future(executor=executor)
    timer = node.create_timer(0.1, lambda: frames and not arrived.done() and arrived.set_result(1))
    executor.spin_until_future_complete(arrived, timeout_sec=60)
    node.destroy_timer(timer)
    node.destroy_node()
    rclpy.shutdown(context=context)
    assert frames
    assert len(frames[0].data) > 1000


@pytest.fixture
def rosbag2(tmp_path: Path) -> Path:
    """What stands for `ros2 bag play`, which is in no wheel: it writes down how it is called."""
    log = tmp_path / "called"
    program = tmp_path / "ros2"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}.part && mv {log}.part {log}\n')
    program.chmod(0o755)
    return log


@launch_pytest.fixture
def rosbag2s_player(rosbag2: Path) -> launch.LaunchDescription:
    path = f"{rosbag2.parent}:{os.environ['PATH']}"
    return launch.LaunchDescription(
        [
            SetEnvironmentVariable("PATH", path),
            replay(player="ros2", rate="2.0"),
            launch_pytest.actions.ReadyToTest(),
        ]
    )


@pytest.mark.launch(fixture=rosbag2s_player)
def test_rosbag2s_player_gets_the_topics_remapped(rosbag2: Path) -> None:
    deadline = time.monotonic() + 60
    while not rosbag2.exists():
        assert time.monotonic() < deadline, "`ros2 bag play` was not called"
        time.sleep(0.05)
    assert rosbag2.read_text().splitlines() == [
        "bag", "play", str(SAMPLE), "--rate", "2.0", "--remap",
        "/vehicle_00/camera/image_raw/compressed:=/car_7/camera/image_raw/compressed",
        "/vehicle_00/traffic_lights:=/car_7/traffic_lights",
    ]  # fmt: skip
