"""Launch files and settings are where `ros2 launch` looks for them, and can be read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml
from ament_index_python.packages import get_package_share_directory

SHARE = Path(get_package_share_directory("bift_ros"))
LAUNCH_FILES = sorted((SHARE / "launch").glob("*.launch.py"))
SETTINGS = sorted((SHARE / "config").glob("*.yaml"))


def test_they_are_installed() -> None:
    assert {path.name for path in LAUNCH_FILES} >= {"fleet.launch.py", "vehicle.launch.py"}
    assert {path.name for path in SETTINGS} >= {"monitor.yaml", "vehicle.yaml"}


@pytest.mark.parametrize("file", LAUNCH_FILES, ids=lambda file: file.name)
def test_a_launch_file_describes_a_launch(file: Path) -> None:
    functions = {n.name for n in ast.parse(file.read_text()).body if hasattr(n, "name")}
    assert "generate_launch_description" in functions


@pytest.mark.parametrize("file", SETTINGS, ids=lambda file: file.name)
def test_settings_are_a_mapping(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text()), dict)
