"""The colcon workspace: bift_msgs and bift_ros into the clone's build/ and install/.

Each package is renewed only when what defines it has changed. The source of bift_ros is used in
place (PYTHONPATH), so an edit needs no build; installed are its launch files, its settings and its
entry in the ament index, for `ros2 launch` and `ros2 run`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bift_setup.colcon import build_package, write_environment
from bift_setup.contents import key_of, locked
from bift_setup.messages import install_messages, messages_key
from bift_setup.python_environment import PythonEnvironment
from bift_setup.report import run_logged, step
from bift_setup.shell_environment import shell_environment

_STAMP = "bift_build.json"


def ensure_workspace(environment: PythonEnvironment, root: Path, base: Mapping[str, str]) -> None:
    """Renew the packages that changed and write install/bift_env.sh. Raises SetupError."""
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
        environment_file = write_environment(environment, root)
        try:
            if "bift_msgs" in changed:
                install_messages(environment, root, base)
            if "bift_ros" in changed:
                with step("colcon build of bift_ros"):
                    build_package(environment, root / "src", "bift_ros", root, base)
            _check(environment, root, base)
        except BaseException:
            environment_file.unlink()  # so that ./bift says that there is no finished set-up
            raise
        stamp.write_text(json.dumps(wanted, indent=2) + "\n")


def _keys(environment: PythonEnvironment, root: Path) -> dict[str, str]:
    sources = root / "src"
    # The clone's path is in the shell's variables.
    place = [shell_environment(environment, root), messages_key(environment, sources)]
    ros = sources / "bift_ros"
    packaging = ("package.xml", "setup.py", "setup.cfg", "resource", "launch", "config")
    keys = {
        "bift_msgs": key_of(texts=place),
        "bift_ros": key_of(
            texts=place, paths=[*(ros / name for name in packaging), Path(__file__)]
        ),
    }
    # A container image builds the messages alone.
    return {package: key for package, key in keys.items() if (sources / package).is_dir()}


def _read_stamp(stamp: Path) -> dict[str, str]:
    try:
        read = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _check(environment: PythonEnvironment, root: Path, base: Mapping[str, str]) -> None:
    code = "import rclpy, bift_msgs.msg; rclpy.init(); rclpy.create_node('check').destroy_node()"
    command = [str(root / "scripts" / "enter"), "python", "-c", code]
    remedy = "rclpy and bift_msgs do not load together."
    if environment.ros:
        remedy += f" To use the wheels instead of {environment.ros.prefix}: BIFT_ROS_PREFIX=none."
    run_logged(command, root / "build" / "check.log", remedy, base, root)
