"""bift_ros as an ament_python package: what colcon installs for ros2 launch and ros2 run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("colcon_ros", reason="needs colcon: run `make setup`")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a copy of the package with one more launch file, settings and an empty folder."""
    workspace = tmp_path_factory.mktemp("workspace")
    package = workspace / "src" / "bift_ros"
    shutil.copytree(
        ROOT / "src" / "bift_ros", package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "launch" / "probe.launch.py").write_text("# a launch file\n")
    (package / "config" / "fleets").mkdir()
    (package / "config" / "fleets" / "probe.yaml").write_text("vehicles: 5\n")
    (package / "config" / "empty").mkdir()
    build(workspace)
    return workspace / "install"


def build(workspace: Path) -> None:
    command = [
        *(sys.executable, "-m", "colcon", "--log-base", "log"),
        *("build", "--merge-install", "--base-paths", "src", "--packages-select", "bift_ros"),
    ]
    environment = {**os.environ, "PYTHONPATH": ""}
    finished = subprocess.run(
        command, cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_ament_index_knows_the_package(installed: Path) -> None:
    assert (installed / "share/ament_index/resource_index/packages/bift_ros").is_file()
    assert (installed / "share/bift_ros/package.xml").is_file()


def test_launch_files_and_settings_keep_their_folders(installed: Path) -> None:
    share = installed / "share" / "bift_ros"
    assert (share / "launch" / "probe.launch.py").read_text() == "# a launch file\n"
    assert (share / "config" / "fleets" / "probe.yaml").read_text() == "vehicles: 5\n"
    for folder in ("launch", "config"):
        shipped = [p for p in (ROOT / "src" / "bift_ros" / folder).rglob("*.*") if p.is_file()]
        names = {path.relative_to(ROOT / "src" / "bift_ros") for path in shipped}
        assert {path for path in names if not (share / path).is_file()} == set()


def test_the_top_levels_names_lead_into_the_package() -> None:
    for folder in ("launch", "config"):
        assert (ROOT / folder).readlink() == Path("src", "bift_ros", folder)


def test_every_room_is_installed(installed: Path) -> None:
    [package] = installed.glob("lib/python3.*/site-packages/bift_ros")
    source = ROOT / "src" / "bift_ros" / "bift_ros"
    rooms = {path.parent.name for path in source.glob("*/__init__.py")}
    assert rooms <= {path.parent.name for path in package.glob("*/__init__.py")}


def test_ros2_run_finds_the_command(installed: Path) -> None:
    command = installed / "lib" / "bift_ros" / "bift"
    assert os.access(command, os.X_OK)
    [entry_points] = installed.glob("lib/python3.*/site-packages/bift_ros*/entry_points.txt")
    assert "bift = bift_ros.console.__main__:main" in entry_points.read_text()


def test_the_package_builds_without_launch_and_config(tmp_path: Path) -> None:
    source = tmp_path / "src" / "bift_ros"
    (source / "bift_ros").mkdir(parents=True)
    (source / "bift_ros" / "__init__.py").touch()
    shutil.copytree(ROOT / "src/bift_ros/resource", source / "resource")
    for name in ("package.xml", "setup.py", "setup.cfg"):
        shutil.copy(ROOT / "src" / "bift_ros" / name, source)
    build(tmp_path)
    assert (tmp_path / "install/share/bift_ros/package.xml").is_file()
