"""fleet.launch.py: a fleet of processes comes up, learns, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytest.importorskip("launch_pytest", reason="needs ROS 2's launch_pytest, no wheel")

import launch
import launch_pytest
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from bift_ros.nodes.observer.monitor import FleetMonitor

ROOT = Path(__file__).parents[2]
FLEET = """\
name: launched
vehicles: 2
task: {iterations: 1, local_epochs: 1}
synthetic: {frames: 60}
replay_rate: 8
"""


@launch_pytest.fixture
def fleet(tmp_path: Path) -> launch.LaunchDescription:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / "fleet.launch.py"))
    given = {
        "fleet": str(tmp_path / "fleet.yaml"),
        "runtime": "process",
        "fleets": str(tmp_path / "fleets"),
    }
    return launch.LaunchDescription(
        [
            IncludeLaunchDescription(source, launch_arguments=given.items()),
            launch_pytest.actions.ReadyToTest(),
        ]
    )


def vehicles_of(folder: Path) -> list[psutil.Process]:
    """Processes that work in a fleet's folder."""
    return [p for p in psutil.process_iter(["cmdline"]) if str(folder) in str(p.info["cmdline"])]


@pytest.mark.launch(fixture=fleet)
def test_a_fleet_learns_and_leaves_nothing(tmp_path: Path) -> Iterator[None]:
    monitor = FleetMonitor()
    try:
        learned = monitor.wait(
            lambda heard: (
                sum(s is not None and s.task.current_iter >= 1 for s in heard.values()) == 2
            ),
            240,
        )
        assert learned, monitor.vehicles
    finally:
        monitor.close()
    assert vehicles_of(tmp_path / "fleets")
    yield
    assert not vehicles_of(tmp_path / "fleets")
    assert not list((tmp_path / "fleets").iterdir())
