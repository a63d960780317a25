"""A vehicle as a process of this host."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from bift_ros.fleet.runtimes.namespaces import enter_namespace
from bift_ros.fleet.runtimes.plan import VehiclePlan

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def vehicle_command(vehicle: VehiclePlan) -> list[str]:
    """The command line that runs a vehicle."""
    return [
        sys.executable,
        "-m",
        "bift_ros.nodes.vehicle.process",
        "--ros-args",
        "-r",
        f"__ns:=/{vehicle.name}",
        *(word for pair in vehicle.remappings.items() for word in ("-r", ":=".join(pair))),
        *(("--enclave", vehicle.enclave) if vehicle.enclave is not None else ()),
        "--params-file",
        str(vehicle.parameters_file),
    ]


def start_process(
    command: Sequence[str],
    log_file: Path,
    environment: Mapping[str, str],
    *,
    detached: bool = False,
    namespace: int | None = None,
    inherited: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a process of a fleet, which appends to its log file.

    It gets SIGTERM when this process dies, unless it is `detached`. `namespace` is an open network
    namespace to run in, `inherited` are descriptors that stay open in it.
    """
    with log_file.open("ab") as log:
        # A session of its own: Ctrl-C reaches the vehicles through their fleet, once.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
            pass_fds=inherited,
            umask=0o077,
            preexec_fn=partial(_prepare_child, detached, namespace),
        )


def _prepare_child(detached: bool, namespace: int | None) -> None:
    if namespace is not None:
        enter_namespace(namespace)
    # A shell's background job ignores SIGINT and so would its children.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if not detached:
        end_with_parent()


def kill_family(pid: int) -> None:
    """SIGKILL a process and all that it started."""
    family = []
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()


def end_with_parent() -> None:
    """Have the kernel send this process SIGTERM when its parent dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
