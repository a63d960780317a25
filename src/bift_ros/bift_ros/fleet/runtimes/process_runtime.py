"""A fleet of processes on this host, which outlive the command that started them."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bift_ros.consensus.exceptions import ChainError
from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.runs.scenario import set_environment
from bift_ros.fleet.runtimes.discovery import (
    SUPER_CLIENT,
    client_environment,
    free_port,
    refuse_without_program,
    server_command,
    wait_for_server,
)
from bift_ros.fleet.runtimes.domain import NoDomainError, inheritable_ros_environment
from bift_ros.fleet.runtimes.folder import FleetFolder, write_whole
from bift_ros.fleet.runtimes.log_files import read_logs
from bift_ros.fleet.runtimes.plan import prepare
from bift_ros.fleet.runtimes.process_identity import ProcessIdentity
from bift_ros.fleet.runtimes.processes import (
    kill_family,
    start_process,
    vehicle_command,
    vehicle_log,
)
from bift_ros.fleet.runtimes.runtime import FleetError, Monitor
from bift_ros.identity.keyfile import KeyFileError
from bift_ros.nodes.observer.monitor import FleetMonitor
from bift_ros.storage.interface import StorageError

GRACE_SECONDS = 20.0
"""How long a vehicle may take to stop before it is killed."""
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class _Started:
    """The processes of the last `up`."""

    environment: dict[str, str] = field(default_factory=dict)
    """By which their ROS nodes find each other."""
    vehicles: dict[str, ProcessIdentity] = field(default_factory=dict)
    server: ProcessIdentity | None = None
    """The discovery server, where there is one."""

    @property
    def observers_environment(self) -> dict[str, str]:
        """By which others find them and all of their topics."""
        return {**self.environment, **(SUPER_CLIENT if self.server is not None else {})}

    @property
    def every(self) -> list[ProcessIdentity]:
        """All of them."""
        return [*self.vehicles.values(), *([self.server] if self.server is not None else [])]


class ProcessRuntime:
    """A `runtime.Runtime`. Memory and cores are not limited, and the network is the host's."""

    def __init__(self, folder: FleetFolder) -> None:
        self._folder = folder
        self._file = folder.root / "processes.json"
        self._server_log = folder.root / "discovery.log"

    def check(self, fleet: FleetDescription) -> None:
        """Refuse what takes a network of a vehicle's own, or a program that isn't here."""
        if fleet.discovery == "server":
            refuse_without_program()
        impaired = [vehicle.name for vehicle in fleet.vehicles if vehicle.network]
        if impaired:
            raise FleetError(
                f"vehicles that are processes share this host's network, so that of "
                f"{', '.join(impaired)} can't be impaired: use the runtime docker, or delete "
                "`network` from the description"
            )

    def up(
        self,
        fleet: FleetDescription,
        bags: Sequence[Path | None],
        started: Callable[[str], None],
    ) -> None:
        """Start the processes; see `Runtime`."""
        now = time.time_ns() // 1_000_000
        try:
            plan = prepare(self._folder.vehicles, fleet.settings(bags, now))
            with inheritable_ros_environment() as (environment, claim):
                processes = _Started(environment)
                if fleet.discovery == "server":
                    processes = self._start_server(processes)
                for vehicle in plan.vehicles:
                    process = start_process(
                        vehicle_command(vehicle),
                        vehicle_log(vehicle.folder),
                        processes.environment,
                        detached=True,
                        inherited=claim,
                    )
                    processes.vehicles[vehicle.name] = ProcessIdentity.of(process.pid)
                    self._remember(processes)
                    started(vehicle.name)
        except (ChainError, KeyFileError, StorageError, NoDomainError, OSError) as error:
            raise FleetError(str(error)) from error

    def _start_server(self, processes: _Started) -> _Started:
        """Start the discovery server, which all that are started later are to ask."""
        port = free_port()
        self._server_log.unlink(missing_ok=True)
        command = server_command(_LOOPBACK, port)
        server = start_process(command, self._server_log, processes.environment, detached=True)
        environment = {**processes.environment, **client_environment(_LOOPBACK, port)}
        processes = replace(
            processes, environment=environment, server=ProcessIdentity.of(server.pid)
        )
        self._remember(processes)
        wait_for_server(server, self._server_log)
        return processes

    def _remember(self, processes: _Started) -> None:
        write_whole(self._file, json.dumps(asdict(processes), indent=2) + "\n")

    @property
    def environment(self) -> Mapping[str, str]:
        """By which its ROS nodes are found; empty where no such fleet was brought up."""
        return self._started().observers_environment

    @contextmanager
    def monitor(self) -> Iterator[Monitor]:
        """Listen in the fleet's ROS domain."""
        processes = self._started()
        with set_environment(processes.observers_environment), closing(FleetMonitor()) as monitor:
            for name in processes.vehicles:
                monitor.watch(name)
            yield monitor

    def running(self) -> Collection[str]:
        """The vehicles whose processes have not ended."""
        return [name for name, process in self._started().vehicles.items() if process.alive]

    def logs(self, vehicles: Sequence[str], follow: bool) -> Iterator[tuple[str, str]]:
        """From the vehicles' log files."""
        files = {name: vehicle_log(self._folder.vehicles / name) for name in vehicles}
        return read_logs(files, lambda: follow and bool(self.running()))

    @contextmanager
    def data(self, vehicle: str) -> Iterator[Path]:
        """Its folder on this host."""
        yield self._folder.vehicles / vehicle

    def down(self, keep_data: bool) -> None:
        """Interrupt all and wait; kill those that outlast `GRACE_SECONDS`, and their children."""
        processes = self._started().every
        for process in processes:
            process.send(signal.SIGINT)
        deadline = time.monotonic() + GRACE_SECONDS
        for process in processes:
            if not process.wait(max(0.0, deadline - time.monotonic())):
                kill_family(process.pid)
                process.wait(GRACE_SECONDS)

    def _started(self) -> _Started:
        """Raises FleetError where the file is damaged."""
        try:
            document = json.loads(self._file.read_text(encoding="utf-8"))
            vehicles = {n: ProcessIdentity(**p) for n, p in document["vehicles"].items()}
            server = document.get("server")
            return _Started(document["environment"], vehicles, server and ProcessIdentity(**server))
        except FileNotFoundError:
            return _Started()
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise FleetError(
                f"{self._file} can't be read ({error!r:.200}): end the fleet's processes by hand"
            ) from error
