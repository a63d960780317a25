"""The consensus compiled by mypyc: the same code, twice as fast, for runs of many seeds.

mypyc (github.com/mypyc/mypyc) turns typed Python modules into C extensions. What the vehicles run
is interpreted. A campaign's worker processes import a copy of the package in which most modules of
the consensus are compiled; a test holds both to the same outcome, seed by seed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from bift_ros.simulation.compiled_modules import PACKAGE, compiled_modules

_KEPT = 4
"""Compiled copies that stay in the cache, the latest ones."""
_TIMEOUT_S = 900
_BUILD = """\
import sys
from setuptools import setup
from mypyc.build import mypycify
setup(
    name="bift-compiled",
    script_args=["build_ext", "--inplace"],
    ext_modules=mypycify([*sys.argv[1:], "--ignore-missing-imports"], opt_level="2"),
)
"""


class CompilationError(Exception):
    """The consensus could not be compiled; the message says why."""


def compiled_package() -> Path | None:
    """Give the folder with the compiled copy of this very code, or None where there is none."""
    folder = _folder()
    return folder if folder.is_dir() else None


def compile_package() -> Path:
    """Compile a copy of the package, about a minute, and give its folder for `sys.path`.

    Raises CompilationError.
    """
    if importlib.util.find_spec("mypyc") is None:
        raise CompilationError("mypyc is not installed (it comes with mypy)")
    folder = _folder()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="compiling-") as name:
        home = Path(name)
        shutil.copytree(
            PACKAGE, home / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__", "*.so")
        )
        modules = [f"{PACKAGE.name}/{path}" for path in compiled_modules()]
        command = [sys.executable, "-c", _BUILD, *modules]
        environment = {**os.environ, "PYTHONPATH": "", "MYPYPATH": ""}
        try:
            built = subprocess.run(
                command, cwd=home, env=environment, capture_output=True, timeout=_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CompilationError(str(error)) from error
        if built.returncode:
            last = (built.stderr or built.stdout).decode(errors="replace").strip().splitlines()
            raise CompilationError("\n".join(last[-5:]) or "the compiler failed silently")
        shutil.rmtree(home / "build")
        try:
            home.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was as fast
                raise
        home.mkdir(exist_ok=True)  # what the context manager is to remove
    _forget_old(folder.parent)
    return folder


def _folder() -> Path:
    """Where the compiled copy of this code for this Python is kept."""
    digest = hashlib.sha256(f"{sys.version} {sysconfig.get_platform()}".encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "bift" / f"compiled-{digest.hexdigest()[:16]}"


def _forget_old(cache: Path) -> None:
    copies = sorted(cache.glob("compiled-*"), key=lambda path: path.stat().st_mtime)
    for path in copies[:-_KEPT]:
        shutil.rmtree(path, ignore_errors=True)
