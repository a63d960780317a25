"""`ros2 launch bift_ros FILE --show-args` explains every argument of every launch file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("ros2launch", reason="needs the `ros2 launch` command, no wheel")

FILES = sorted((Path(__file__).parents[2] / "launch").glob("*.launch.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_argument_is_explained(file: Path) -> None:
    shown = subprocess.run(
        ["ros2", "launch", "bift_ros", file.name, "--show-args"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    names = re.findall(r'DeclareLaunchArgument\(\s*"(\w+)"', file.read_text())
    names += re.findall(r'^    "(\w+)": ', file.read_text(), re.MULTILINE)
    assert names
    for name in names:
        assert re.search(rf"'{name}':\n {{8}}\S.{{10}}", shown), (
            f"{name} is not explained:\n{shown}"
        )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_file_says_how_to_run_it(file: Path) -> None:
    assert f"ros2 launch bift_ros {file.name}" in file.read_text().split('"""')[1]
