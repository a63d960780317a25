"""A workspace that holds only `src/` builds, and colcon finds and passes the packages' tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("colcon_ros", reason="needs colcon: run `make setup`")
pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")


@pytest.fixture
def environment() -> dict[str, str]:
    """The variables of a person who has ROS, and has never heard of this clone."""

    def without_clone(folders: str) -> str:
        return os.pathsep.join(
            f for f in folders.split(os.pathsep) if not Path(f).is_relative_to(ROOT)
        )

    kept = dict(os.environ)
    for name in list(kept):
        if name.endswith("PATH"):
            kept[name] = without_clone(kept[name])
    return {**kept, "MAKEFLAGS": f"-j{len(os.sched_getaffinity(0))}"}


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_both_packages_build_and_pass_their_own_tests(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    def colcon(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "colcon", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
        return done.stdout

    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignored)
    python = [f"-D{name}_EXECUTABLE={sys.executable}" for name in ("Python3", "PYTHON")]
    colcon("build", "--cmake-args", *python)
    colcon("test", "--return-code-on-test-failure")
    results = colcon("test-result", "--all")
    assert "build/bift_ros/pytest.xml" in results
    assert "build/bift_msgs/test_results" in results
    assert ", 0 errors, 0 failures, 0 skipped" in results.splitlines()[-1]
