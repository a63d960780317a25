"""The Python environment: outside the clone, named by its content, complete or not there.

It is big (PyTorch with CUDA), so clones share it, in
`${BIFT_CACHE:-${XDG_CACHE_HOME:-~/.cache}/bift}/env-<key>`. The marker file is written last: a
folder without it is what an interrupted set-up left, and is deleted.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bift_setup.contents import key_of, locked
from bift_setup.report import run_logged, say, step
from bift_setup.system_ros import SystemRos, ros_wheels, without_system_parts

_MARKER = "bift-complete"
# The wheels' CMake files name the include folders of the machine that built them.
_FOREIGN_PYTHON_INCLUDE = re.compile(r'/opt/python/[^;"]*?/include/python3\.\d+')
_FOREIGN_NUMPY_INCLUDE = re.compile(r'/opt/python/[^;"]*?/numpy/(?:_core|core)/include')


@dataclass(frozen=True)
class PythonEnvironment:
    """A virtual environment, and the system ROS (if any) that it goes with."""

    path: Path
    requirements: str
    ros: SystemRos | None

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where its packages are."""
        return self.path / python_library_folder()

    @property
    def is_complete(self) -> bool:
        """Whether a set-up ran to its end."""
        return (self.path / _MARKER).is_file()


def python_library_folder() -> Path:
    """Where this Python's packages lie under a prefix, such as lib/python3.12/site-packages."""
    return Path("lib", "python{}.{}".format(*sys.version_info[:2]), "site-packages")


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where environments are kept."""
    if environment.get("BIFT_CACHE"):
        return Path(environment["BIFT_CACHE"]).expanduser().resolve()
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "bift"


def describe_environment(cache: Path, pins: Path, ros: SystemRos | None) -> PythonEnvironment:
    """Name the environment that these pins, this Python and this system ROS ask for."""
    requirements = without_system_parts(pins.read_text(), ros)
    key = key_of(
        texts=[
            requirements,
            sys.version,
            sys.base_prefix,
            str(ros.prefix) if ros else "",
        ],
        paths=[Path(__file__)],
    )
    return PythonEnvironment(cache / f"env-{key}", requirements, ros)


def ensure_environment(wanted: PythonEnvironment, environment: Mapping[str, str]) -> None:
    """Build the environment unless it is complete. Raises SetupError."""
    if wanted.is_complete:
        return
    with locked(wanted.path.with_suffix(".lock")):
        if wanted.is_complete:  # whoever held the lock has built it
            return
        if wanted.path.exists():
            say("an earlier set-up was interrupted; starting the environment afresh")
            shutil.rmtree(wanted.path)
        with step(f"Python environment in {wanted.path}"):
            _build(wanted, environment)
        (wanted.path / _MARKER).write_text(wanted.requirements)


def _build(wanted: PythonEnvironment, environment: Mapping[str, str]) -> None:
    log = wanted.path.with_suffix(".log")
    log.unlink(missing_ok=True)
    online = (
        "Set-up needs the Python package index. Behind a proxy or with a mirror, set HTTPS_PROXY, "
        "PIP_INDEX_URL and UV_DEFAULT_INDEX, then run it again: what was downloaded is kept."
    )
    clean = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
    clean.setdefault("UV_HTTP_TIMEOUT", "180")  # seconds; the CUDA wheels are large
    parent = wanted.path.parent

    # With a system ROS, the Python packages that it depends on come from the system as well.
    system_packages = ["--system-site-packages"] if wanted.ros else []
    command = [sys.executable, "-m", "venv", *system_packages, str(wanted.path)]
    run_logged(command, log, "Is the disk full?", clean, parent)

    pins = wanted.path / "requirements.txt"
    pins.write_text(wanted.requirements)
    say("  uv")
    pip: list[str | Path] = [wanted.python, "-m", "pip", "install", "--quiet"]
    run_logged([*pip, "--constraint", pins, "uv"], log, online, clean, parent)

    packages = sum(1 for line in wanted.requirements.splitlines() if "==" in line)
    say(f"  up to {packages} packages, about 6 GB (the longest part)")
    uv: list[str | Path] = [wanted.path / "bin" / "uv", "pip", "install", "--python", wanted.python]
    # The pins are whole, so dependencies need no second look; system parts must not come back in.
    # Compiled once here, and not by every process of a fleet on its first start.
    options: list[str | Path] = ["--no-deps", "--compile-bytecode", "--requirement", pins]
    run_logged([*uv, *options], log, online, clean, parent)
    if ros_wheels(wanted.requirements):
        _localise_cmake_files(wanted)


def _localise_cmake_files(wanted: PythonEnvironment) -> None:
    python_include = sysconfig.get_path("include")
    numpy_include = subprocess.check_output(
        [wanted.python, "-c", "import numpy; print(numpy.get_include())"],
        text=True,
        env={**os.environ, "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"},
    ).strip()
    for file in (wanted.path / "share").glob("*/cmake/*.cmake"):
        text = file.read_text()
        local = _FOREIGN_PYTHON_INCLUDE.sub(lambda _: python_include, text)
        local = _FOREIGN_NUMPY_INCLUDE.sub(lambda _: numpy_include, local)
        if local != text:
            # Replaced, never written in place: uv hard-links files to its cache, which others use.
            replacement = file.with_suffix(".tmp")
            replacement.write_text(local)
            replacement.replace(file)
