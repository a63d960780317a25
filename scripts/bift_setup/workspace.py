"""The colcon workspace: bift_msgs and bift_ros into the clone's build/ and install/.

Each package is built again only when what defines its build has changed. The source of bift_ros
is used in place (PYTHONPATH), so an edit needs no build; installed are its launch files, its
settings and its entry in the ament index, for `ros2 launch` and `ros2 run`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bift_setup.contents import key_of, locked
from bift_setup.python_environment import PythonEnvironment
from bift_setup.report import run_logged, step
from bift_setup.shell_environment import shell_environment

_STAMP = "bift_build.json"
ENVIRONMENT_FILE = "bift_env.sh"


def ensure_workspace(environment: PythonEnvironment, root: Path, base: Mapping[str, str]) -> None:
    """Build the packages that changed and write install/bift_env.sh. Raises SetupError."""
    wanted = _keys(environment, root)
    stamp = root / "install" / _STAMP
    if _read_stamp(stamp) == wanted:
        return
    with locked(root / "build" / ".lock"):
        present = _read_stamp(stamp)
        changed = [package for package, key in wanted.items() if present.get(package) != key]
        if not changed:
            return
        stamp.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        shell = shell_environment(environment, root)
        environment_file = stamp.parent / ENVIRONMENT_FILE
        environment_file.write_text(shell)
        try:
            with step("colcon build of " + " and ".join(changed)):
                _build(environment, root, changed, base)
            _check(environment, root, base)
        except BaseException:
            environment_file.unlink()  # so that ./bift says that there is no finished set-up
            raise
        stamp.write_text(json.dumps(wanted, indent=2) + "\n")


def _keys(environment: PythonEnvironment, root: Path) -> dict[str, str]:
    source = root / "src"
    place = [str(root), str(environment.path), shell_environment(environment, root)]
    ros = source / "bift_ros"
    packaging = [ros / name for name in ("package.xml", "setup.py", "setup.cfg", "resource")]
    data = [root / "launch", root / "config"]
    defining = {"bift_msgs": [source / "bift_msgs"], "bift_ros": [*packaging, *data]}
    return {
        package: key_of(texts=place, paths=[*paths, Path(__file__)])
        for package, paths in defining.items()
        if (source / package).is_dir()  # a container image builds the messages alone
    }


def _read_stamp(stamp: Path) -> dict[str, str]:
    try:
        read = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _build(
    environment: PythonEnvironment, root: Path, packages: list[str], base: Mapping[str, str]
) -> None:
    for package in packages:
        _discard_moved(root / "build" / package)
    python = environment.python
    log = root / "build" / "colcon.log"
    log.unlink(missing_ok=True)
    colcon = [
        *(root / "scripts" / "enter", python, "-m", "colcon", "--log-base", root / "log"),
        *("build", "--merge-install", "--base-paths", root / "src"),
        *("--packages-select", *packages, "--event-handlers", "console_direct+"),
        *("--cmake-args", f"-DPython3_EXECUTABLE={python}", f"-DPYTHON_EXECUTABLE={python}"),
        "-DBUILD_TESTING=OFF",
    ]
    remedy = "`make clean` and `make setup` build afresh."
    # colcon's own choice (-j with -l) falls back to one job on a machine that is at all busy.
    parallel = {**base, "MAKEFLAGS": f"-j{len(os.sched_getaffinity(0))}"}
    run_logged([str(part) for part in colcon], log, remedy, parallel, root)


def _discard_moved(build: Path) -> None:
    """Delete what CMake made for another folder: a clone that was moved or copied.

    CMake would go on building there, and this clone would keep its old messages.
    """
    try:
        cache = (build / "CMakeCache.txt").read_text(errors="replace")
    except OSError:
        return
    if f"CMAKE_CACHEFILE_DIR:INTERNAL={build}\n" not in cache:
        shutil.rmtree(build)


def _check(environment: PythonEnvironment, root: Path, base: Mapping[str, str]) -> None:
    code = "import rclpy, bift_msgs.msg; rclpy.init(); rclpy.create_node('check').destroy_node()"
    command = [str(root / "scripts" / "enter"), "python", "-c", code]
    remedy = "rclpy and bift_msgs do not load together."
    if environment.ros:
        remedy += f" To use the wheels instead of {environment.ros.prefix}: BIFT_ROS_PREFIX=none."
    run_logged(command, root / "build" / "check.log", remedy, base, root)
