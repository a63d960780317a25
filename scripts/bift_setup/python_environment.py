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
from bift_setup.pins import HASHES, with_hashes
from bift_setup.report import SetupError, run_logged, say, step
from bift_setup.system_ros import SystemRos, ros_wheels, without_system_parts

_MARKER = "bift-complete"
_TORCH_PIN = re.compile(r"(torch|torchvision)==")
_CUDA_PIN = re.compile(r"^(cuda-|nvidia-|triton==).*\n", re.MULTILINE)
# The wheels' CMake files name the include folders of the machine that built them.
_FOREIGN_PYTHON_INCLUDE = re.compile(r'/opt/python/[^;"]*?/include/python3\.\d+')
_FOREIGN_NUMPY_INCLUDE = re.compile(r'/opt/python/[^;"]*?/numpy/(?:_core|core)/include')


@dataclass(frozen=True)
class PythonEnvironment:
    """A virtual environment, and the system ROS (if any) that it goes with."""

    path: Path
    requirements: str
    ros: SystemRos | None
    torch: str
    """`cpu`: PyTorch for processors alone, from its own index; `cuda`: the package index's."""

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


class NoTorchForCpuError(SetupError):
    """The index of PyTorch for processors alone can't be reached, or lacks the pinned pair."""


def describe_environment(
    cache: Path, pins: Path, ros: SystemRos | None, torch: str
) -> PythonEnvironment:
    """Name the environment that these pins, this Python, system ROS and PyTorch ask for."""
    requirements = without_system_parts(pins.read_text(), ros)
    if torch == "cpu":
        requirements = _CUDA_PIN.sub("", requirements)
    key = key_of(
        texts=[
            requirements,
            sys.version,
            sys.base_prefix,
            str(ros.prefix) if ros else "",
            torch,
        ],
        paths=[Path(__file__)],
    )
    return PythonEnvironment(cache / f"env-{key}", requirements, ros, torch)


def ensure_environment(wanted: PythonEnvironment, environment: Mapping[str, str]) -> None:
    """Build the environment unless it is complete. Raises SetupError.

    Raises NoTorchForCpuError, and leaves nothing, where that is what it failed of.
    """
    if wanted.is_complete:
        return
    with locked(wanted.path.with_suffix(".lock")):
        if wanted.is_complete:  # whoever held the lock has built it
            return
        if wanted.path.exists():
            say("an earlier set-up was interrupted; starting the environment afresh")
            shutil.rmtree(wanted.path)
        try:
            with step(f"Python environment in {wanted.path}"):
                _build(wanted, environment)
        except NoTorchForCpuError:
            shutil.rmtree(wanted.path)
            raise
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

    lines = wanted.requirements.splitlines(keepends=True)
    pins, uv_pins = wanted.path / "requirements.txt", wanted.path / "uv.txt"
    hashes = HASHES.read_text()
    uv_pins.write_text(with_hashes("".join(pin for pin in lines if pin[:4] == "uv=="), hashes))
    say("  uv")
    pip: list[str | Path] = [wanted.python, "-m", "pip", "install", "--quiet", "--require-hashes"]
    run_logged([*pip, "--requirement", uv_pins], log, online, clean, parent)

    # The pins are whole, so dependencies need no second look; system parts must not come back in.
    uv: list[str | Path] = [wanted.path / "bin" / "uv", "pip", "install", "--python", wanted.python]
    uv += ["--no-deps"]
    if wanted.torch == "cpu":
        uv += ["--torch-backend", "cpu"]
        say("  PyTorch for processors alone")
        pair = [line.rstrip() for line in lines if _TORCH_PIN.match(line)]
        # Its index has files of its own, whose hashes are not among those pinned.
        lines = [line for line in lines if not _TORCH_PIN.match(line)]
        try:
            run_logged([*uv, *pair], log, "", clean, parent)
        except SetupError as error:
            raise NoTorchForCpuError(str(error)) from error
    packages = sum(1 for line in wanted.requirements.splitlines() if "==" in line)
    size = {"cpu": "some 2", "cuda": "about 6"}[wanted.torch]
    say(f"  up to {packages} packages, {size} GB (the longest part)")
    pins.write_text(with_hashes("".join(lines), hashes))
    # Compiled once here, and not by every process of a fleet on its first start.
    uv += ["--compile-bytecode", "--require-hashes"]
    run_logged([*uv, "--requirement", pins], log, online, clean, parent)
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
