"""What the machine itself must have; each lack is named with its remedy."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sysconfig
from pathlib import Path

from bift_setup.report import SetupError


def check_machine() -> None:
    """Raise SetupError with every lack at once, so that one visit to apt is enough."""
    lacks = [
        *_lacking_platform(),
        *_lacking_python_parts(),
        *_lacking_build_tools(),
    ]
    if lacks:
        raise SetupError("this machine lacks:\n  - " + "\n  - ".join(lacks))


def _lacking_platform() -> list[str]:
    if platform.system() == "Linux":
        return []
    return [f"Linux: this is {platform.system()}. Use a Linux machine, a container or WSL 2."]


def _lacking_python_parts() -> list[str]:
    name = "python{}.{}".format(*platform.python_version_tuple())
    lacks = []
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        lacks.append(f"Python's venv module (Debian, Ubuntu: apt install {name}-venv)")
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        lacks.append(f"Python's C headers, to build bift_msgs (apt install {name}-dev)")
    return lacks


def _lacking_build_tools() -> list[str]:
    lacks = []
    compiler = os.environ.get("CXX", "c++").split()[0]
    if not (shutil.which(compiler) or shutil.which("g++") or shutil.which("clang++")):
        lacks.append("a C++ compiler (Debian, Ubuntu: apt install g++)")
    if not shutil.which("cmake"):
        lacks.append("CMake (Debian, Ubuntu: apt install cmake)")
    if not (shutil.which("make") or shutil.which("ninja")):
        lacks.append("make (Debian, Ubuntu: apt install make)")
    return lacks
