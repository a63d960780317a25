"""How one package of the workspace is built with colcon."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bift_setup.python_environment import PythonEnvironment
from bift_setup.report import run_logged
from bift_setup.shell_environment import shell_environment

ENVIRONMENT_FILE = "bift_env.sh"


def write_environment(environment: PythonEnvironment, workspace: Path) -> Path:
    """Write the file that a shell sources to use what is installed in `workspace`."""
    file = workspace / "install" / ENVIRONMENT_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(shell_environment(environment, workspace))
    return file


def build_package(
    environment: PythonEnvironment,
    sources: Path,
    package: str,
    workspace: Path,
    base: Mapping[str, str],
) -> None:
    """Build one of the packages below `sources` into `workspace`/install. Raises SetupError.

    The workspace's environment file must have been written.
    """
    log = workspace / "build" / "colcon.log"
    log.unlink(missing_ok=True)
    python = environment.python
    colcon = [
        *("sh", "-c", '. "$0"; exec "$@"', workspace / "install" / ENVIRONMENT_FILE),
        *(python, "-m", "colcon", "--log-base", workspace / "log"),
        *("build", "--merge-install", "--base-paths", sources),
        *("--packages-select", package, "--event-handlers", "console_direct+"),
        *("--cmake-args", f"-DPython3_EXECUTABLE={python}", f"-DPYTHON_EXECUTABLE={python}"),
        "-DBUILD_TESTING=OFF",
    ]
    remedy = "`make clean` and `make setup` build afresh."
    # colcon's own choice (-j with -l) falls back to one job on a machine that is at all busy.
    parallel = {**base, "MAKEFLAGS": f"-j{len(os.sched_getaffinity(0))}"}
    run_logged([str(part) for part in colcon], log, remedy, parallel, workspace)
