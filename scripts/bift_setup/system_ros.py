"""Which parts of ROS 2 Jazzy this machine has already.

A part is one ROS package. Part by part, what a system ROS has is used, and the wheels give the
rest. A system ROS is used only with the Python that it was built for: its rclpy loads in no other.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bift_setup.report import SetupError, say

DISTRIBUTION = "jazzy"
DEFAULT_PREFIX = Path("/opt/ros") / DISTRIBUTION
PREFIX_VARIABLE = "BIFT_ROS_PREFIX"
_WHEEL = re.compile(r"^ros-(?:jazzy-)?(?P<package>[a-z0-9-]+)==")


@dataclass(frozen=True)
class SystemRos:
    """A ROS 2 Jazzy installation that set-up uses parts of."""

    prefix: Path
    packages: frozenset[str]

    def has(self, package: str) -> bool:
        """Whether it has the ROS package of that name."""
        return package in self.packages


def find_system_ros(environment: Mapping[str, str]) -> SystemRos | None:
    """Look for a system ROS 2 Jazzy: the one named, else the one sourced, else the default place.

    BIFT_ROS_PREFIX names one, or says `none`. Raises SetupError where it names what isn't one.
    """
    named = environment.get(PREFIX_VARIABLE, "")
    if named == "none":
        return None
    for prefix in [Path(named)] if named else _candidates(environment):
        if (prefix / "setup.sh").is_file() and (prefix / "share").is_dir():
            packages = frozenset(path.parent.name for path in prefix.glob("share/*/package.xml"))
            return SystemRos(prefix.resolve(), packages)
        if named:
            raise SetupError(
                f"{PREFIX_VARIABLE}={named} holds no ROS 2 (setup.sh and share/). Name the "
                f"folder that has them, or {PREFIX_VARIABLE}=none to use the wheels alone."
            )
    return None


def _candidates(environment: Mapping[str, str]) -> list[Path]:
    sourced = []
    if environment.get("ROS_DISTRO") == DISTRIBUTION:
        entries = environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        # An overlay workspace has no rclpy of its own; the underlay does.
        sourced = [Path(entry) for entry in entries if (Path(entry) / "share/rclpy").is_dir()]
    return [*sourced, DEFAULT_PREFIX]


def python_of(ros: SystemRos) -> tuple[int, int] | None:
    """Version of Python that a system ROS was built for; None if it holds nothing for Python."""
    for path in sorted(ros.prefix.glob("lib/python3.*/site-packages")):
        return 3, int(path.parent.name.partition(".")[2])
    return None


def python_for(ros: SystemRos) -> str | None:
    """Find the Python to use with `ros`: this one if it fits, else one on PATH, else None."""
    version = python_of(ros)
    if version is None or version == sys.version_info[:2]:
        return sys.executable
    found = shutil.which(f"python{version[0]}.{version[1]}")
    # A version manager's shim is found, too, and only fails when it is run.
    if found:
        tried = subprocess.run([found, "-c", ""], capture_output=True, check=False)
        if tried.returncode == 0:
            return found
    say(
        f"{ros.prefix} is built for Python {version[0]}.{version[1]}, which isn't on PATH; "
        "using the wheels instead"
    )
    return None


def without_system_parts(requirements: str, ros: SystemRos | None) -> str:
    """Return the pinned requirements less the wheels of packages that `ros` has."""

    def is_needed(line: str) -> bool:
        wheel = _WHEEL.match(line)
        return not (ros and wheel and ros.has(wheel["package"].replace("-", "_")))

    return "".join(line for line in requirements.splitlines(keepends=True) if is_needed(line))


def ros_wheels(requirements: str) -> list[str]:
    """Names of the ROS packages that pinned requirements take from wheels."""
    names = (_WHEEL.match(line) for line in requirements.splitlines())
    return sorted({match["package"].replace("-", "_") for match in names if match})
