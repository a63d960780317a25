"""A fleet's vehicles as processes of this host."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType

import psutil

from bift_ros.fleet.runtimes.namespaces import enter_namespace
from bift_ros.fleet.runtimes.plan import FleetPlan, VehiclePlan

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
        "--params-file",
        str(vehicle.parameters_file),
    ]


def vehicle_log(folder: Path) -> Path:
    """The log file of the vehicle in `folder`."""
    return folder / "vehicle.log"


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


class ProcessFleet:
    """Starts every vehicle of a plan, each with a log file; leaving the context stops them all.

    `namespaces` are open network namespaces of the vehicles that run in one of their own.
    """

    def __init__(
        self,
        plan: FleetPlan,
        environment: Mapping[str, str],
        namespaces: Mapping[str, int] | None = None,
    ) -> None:
        self.plan = plan
        self._namespaces = namespaces or {}
        self._environment = environment
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> ProcessFleet:
        for vehicle in self.plan.vehicles:
            self.start(vehicle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, vehicle: VehiclePlan) -> None:
        """Start one vehicle."""
        self._processes[vehicle.name] = start_process(
            vehicle_command(vehicle),
            vehicle_log(vehicle.folder),
            self._environment,
            namespace=self._namespaces.get(vehicle.name),
        )

    def kill(self, name: str) -> None:
        """SIGKILL a vehicle's process and all that it started, as a power cut would."""
        process = self._processes.pop(name)
        kill_family(process.pid)
        process.wait()

    def log_of(self, name: str) -> Path:
        """A vehicle's log file."""
        folder = next(v.folder for v in self.plan.vehicles if v.name == name)
        return vehicle_log(folder)

    def ended(self) -> dict[str, int]:
        """The vehicles whose processes have ended by themselves, with their exit statuses."""
        codes = {name: process.poll() for name, process in self._processes.items()}
        return {name: code for name, code in codes.items() if code is not None}

    def stop(self, grace: float = 20.0) -> None:
        """Interrupt every process and wait; kill those that outlast `grace` seconds."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + grace
        for process in self._processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
