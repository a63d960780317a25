"""vehicle.launch.py: a vehicle runs, mines or not, and ends with the launch."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("launch_pytest", reason="needs ROS 2's launch_pytest, no wheel")

import launch
import launch_pytest
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from bift_ros.consensus.genesis import Genesis, Member, Policy, save_genesis
from bift_ros.identity.keyfile import save_key
from bift_ros.identity.keys import KeyPair
from bift_ros.nodes.observer.monitor import FleetMonitor

ROOT = Path(__file__).parents[2]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    key = KeyPair.generate()
    save_key(tmp_path / "key.pem", key, None)
    members = (Member("car_7", key.public_key),)
    save_genesis(
        tmp_path / "genesis.json",
        Genesis("one", 1_700_000_000_000, members, Policy(minimum_updates=1)),
    )
    return {
        "genesis": str(tmp_path / "genesis.json"),
        "key": str(tmp_path / "key.pem"),
        "data": str(tmp_path / "data"),
    }


@launch_pytest.fixture
def vehicle(files: dict[str, str]) -> launch.LaunchDescription:
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / "vehicle.launch.py"))
    given = {**files, "mine": "false"}
    return launch.LaunchDescription(
        [
            IncludeLaunchDescription(source, launch_arguments=given.items()),
            launch_pytest.actions.ReadyToTest(),
        ]
    )


@pytest.mark.launch(fixture=vehicle)
def test_the_vehicle_is_heard() -> None:
    monitor = FleetMonitor()
    try:
        monitor.wait(lambda heard: bool(heard.get("car_7")), 120)
        status = monitor.vehicles["car_7"]
    finally:
        monitor.close()
    assert status.chain.height == 0
