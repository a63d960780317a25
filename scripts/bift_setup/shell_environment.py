"""The variables that a process of Bift runs with, as a file that a POSIX shell sources.

What a shell had sourced before (another ROS, another workspace) does not leak in: a package of
the wrong Python found first would break every import. Plain PYTHONPATH folders stay.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from bift_setup.python_environment import PythonEnvironment, python_library_folder

_TEMPLATE = """\
# Written by set-up; scripts/enter sources it. Changes here are lost.
if [ ! -x {python} ]; then
    echo "bift: the Python environment {path} is gone; run \\`make setup\\`" >&2
    exit 1
fi
kept=
IFS_before=$IFS
IFS=:
for folder in ${{PYTHONPATH:-}}; do
    case $folder in
        */site-packages|*/dist-packages|{source}|"") ;;
        *) kept=$kept:$folder ;;
    esac
done
IFS=$IFS_before
unset IFS_before folder PYTHONPATH PYTHONHOME
unset AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH ROS_DISTRO ROS_VERSION
{underlay}
export VIRTUAL_ENV={path}
export PATH={path}/bin:$PATH
export PYTHONPATH={source}:{install_packages}${{PYTHONPATH:+:$PYTHONPATH}}$kept
export AMENT_PREFIX_PATH={prefixes}${{AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}}
export CMAKE_PREFIX_PATH=$AMENT_PREFIX_PATH
export LD_LIBRARY_PATH={libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
export ROS_DISTRO=jazzy ROS_VERSION=2 RMW_IMPLEMENTATION=rmw_fastrtps_cpp
# The wheels would start every Python twice to set what is set here.
export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
unset kept
"""


def shell_environment(environment: PythonEnvironment, root: Path) -> str:
    """Return the text of the file for the clone at `root`."""
    install = root / "install"
    wheels = environment.path
    # Hash-named libraries that the wheels bundle, such as ros_rcl.libs.
    bundled = sorted(environment.site_packages.glob("ros_*.libs"))
    underlay = ""
    if environment.ros:
        underlay = f". {shlex.quote(str(environment.ros.prefix / 'setup.sh'))}"
    return _TEMPLATE.format(
        python=shlex.quote(str(environment.python)),
        path=shlex.quote(str(wheels)),
        source=shlex.quote(str(root / "src" / "bift_ros")),
        install_packages=shlex.quote(str(install / python_library_folder())),
        prefixes=_joined([install, wheels]),
        libraries=_joined([install / "lib", wheels / "lib", *bundled]),
        underlay=underlay,
    )


def _joined(paths: list[Path]) -> str:
    return ":".join(shlex.quote(str(path)) for path in paths)
