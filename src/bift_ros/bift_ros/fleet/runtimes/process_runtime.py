"""A fleet of processes on this host."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bift_ros.consensus.exceptions import ChainError
from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.runtimes.dds_security import refuse_without_security, vehicles_keystore
from bift_ros.fleet.runtimes.discovery import (
    SUPER_CLIENT,
    client_environment,
    free_port,
    refuse_without_program,
    server_command,
    wait_for_server,
)
from bift_ros.fleet.runtimes.domain import ros_environment
from bift_ros.fleet.runtimes.folder import FleetFolder, status_file, vehicle_log, write_whole
from bift_ros.fleet.runtimes.log_files import read_logs
from bift_ros.fleet.runtimes.network import FleetNetwork
from bift_ros.fleet.runtimes.plan import Parameters, VehiclePlan, prepare
from bift_ros.fleet.runtimes.process_identity import ProcessIdentity
from bift_ros.fleet.runtimes.processes import kill_family, start_process, vehicle_command
from bift_ros.fleet.runtimes.runtime import FleetError, Monitor
from bift_ros.fleet.runtimes.status_files import StatusFiles
from bift_ros.identity.keyfile import KeyFileError
from bift_ros.security.environment import KEYSTORE, secured, secured_observer
from bift_ros.storage.interface import StorageError

GRACE_SECONDS = 20.0
"""How long a vehicle may take to stop before it is killed."""
_LOOPBACK = "127.0.0.1"
_IN_A_NETWORK = {
    "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    "BIFT_FLEET_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
    "ROS_DOMAIN_ID": "1",  # nobody else is in this network
    "BIFT_FLEET_DOMAIN_ID": "2",
    # Shared memory would reach across a cut.
    "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
}


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
        keystore = self.environment.get(KEYSTORE)
        return {
            **self.environment,
            **(SUPER_CLIENT if self.server is not None else {}),
            **(secured_observer(keystore) if keystore is not None else {}),
        }

    @property
    def every(self) -> list[ProcessIdentity]:
        """All of them."""
        return [*self.vehicles.values(), *([self.server] if self.server is not None else [])]


class ProcessRuntime:
    """A `runtime.Runtime`. Memory and cores are not limited."""

    def __init__(
        self, folder: FleetFolder, attached: bool = False, network: FleetNetwork | None = None
    ) -> None:
        """`attached`: the fleet ends with this process; `network`: not the host's but this one."""
        self._folder, self._attached, self._network = folder, attached, network
        self._plans: dict[str, VehiclePlan] = {}
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        """The vehicles that this very object has started last, by name."""

    def check(self, fleet: FleetDescription) -> None:
        """Refuse what takes a network of a vehicle's own, or a program that isn't here."""
        if fleet.discovery == "server":
            refuse_without_program()
        if fleet.security:
            refuse_without_security()
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
        here = {vehicle.name: self._parameters(vehicle.name) for vehicle in fleet.vehicles}
        try:
            plan = prepare(self._folder.vehicles, fleet, bags, now, here)
            self._plans = {vehicle.name: vehicle for vehicle in plan.vehicles}
            with self._ros_environment() as (environment, claim):
                processes = _Started({**environment, **self._secured(fleet, environment)})
                if fleet.discovery == "server":
                    processes = self._start_server(processes)
                for name in self._plans:
                    self._start_vehicle(name, processes, claim)
                    started(name)
        except (ChainError, KeyFileError, StorageError, OSError) as error:
            raise FleetError(str(error)) from error

    def _parameters(self, name: str) -> Parameters:
        vehicle = {"status_file": str(status_file(self._folder.vehicle(name)).resolve())}
        if self._network is not None:
            address = self._network.address_of(name)
            vehicle |= {"gateway_host": "0.0.0.0", "gateway_advertised_host": address}
        return {"vehicle": vehicle}

    def _secured(self, fleet: FleetDescription, environment: Mapping[str, str]) -> dict[str, str]:
        """Variables that turn DDS security on, where the fleet has it."""
        if not fleet.security:
            return {}
        domains = (int(environment[n]) for n in ("ROS_DOMAIN_ID", "BIFT_FLEET_DOMAIN_ID"))
        keystore = vehicles_keystore(self._folder.security, fleet, *domains)
        return secured(str(keystore.folder.resolve()))

    @contextmanager
    def _ros_environment(self) -> Iterator[tuple[dict[str, str], Sequence[int]]]:
        """Variables for the vehicles, and descriptors that they are to inherit."""
        if self._network is not None:
            yield dict(_IN_A_NETWORK), ()
            return
        with ros_environment() as (environment, claim):
            yield environment, claim

    def _start_vehicle(self, name: str, processes: _Started, inherited: Sequence[int] = ()) -> None:
        plan = self._plans[name]
        status_file(plan.folder).unlink(missing_ok=True)  # an earlier process's
        process = self.children[name] = start_process(
            vehicle_command(plan),
            vehicle_log(plan.folder),
            processes.environment,
            detached=not self._attached,
            namespace=self._network.namespaces[name] if self._network is not None else None,
            inherited=inherited,
        )
        processes.vehicles[name] = ProcessIdentity.of(process.pid)
        self._remember(processes)

    def _start_server(self, processes: _Started) -> _Started:
        """Start the discovery server, which all that are started later are to ask."""
        port = free_port()
        log = self._folder.root / "discovery.log"
        log.unlink(missing_ok=True)
        command = server_command(_LOOPBACK, port)
        server = start_process(command, log, processes.environment, detached=not self._attached)
        environment = {**processes.environment, **client_environment(_LOOPBACK, port)}
        processes = replace(
            processes, environment=environment, server=ProcessIdentity.of(server.pid)
        )
        self._remember(processes)
        wait_for_server(server, log)
        return processes

    def _remember(self, processes: _Started) -> None:
        write_whole(self._folder.processes, json.dumps(asdict(processes), indent=2) + "\n")

    @property
    def environment(self) -> Mapping[str, str]:
        """By which its ROS nodes are found; empty where no such fleet was brought up."""
        return self._started().observers_environment

    @contextmanager
    def monitor(self) -> Iterator[Monitor]:
        """Read what the vehicles write of themselves."""
        names = self._started().vehicles
        files = {name: status_file(self._folder.vehicle(name)) for name in names}
        yield StatusFiles(files, self.running)

    def running(self) -> Collection[str]:
        """The vehicles whose processes have not ended."""
        return [name for name, process in self._started().vehicles.items() if process.alive]

    def logs(self, vehicles: Sequence[str], follow: bool) -> Iterator[tuple[str, str]]:
        """From the vehicles' log files."""
        files = {name: vehicle_log(self._folder.vehicle(name)) for name in vehicles}
        return read_logs(files, lambda: follow and bool(self.running()))

    @contextmanager
    def data(self, vehicle: str) -> Iterator[Path]:
        """Its folder on this host."""
        yield self._folder.vehicle(vehicle)

    def kill(self, vehicles: Sequence[str]) -> None:
        """SIGKILL the processes and all that they started."""
        processes = self._started().vehicles
        for name in vehicles:
            if processes[name].alive:
                kill_family(processes[name].pid)
        for name in vehicles:
            self._wait(processes[name])

    def restart(self, vehicles: Sequence[str]) -> None:
        """Start the processes anew."""
        processes = self._started()
        for name in vehicles:
            self._start_vehicle(name, processes)

    def disconnect(self, vehicles: Sequence[str]) -> None:
        """Take the cable between the network's sides away; the vehicles are one of them."""
        self._own_network.cut()

    def connect(self) -> None:
        """Plug the cable in again."""
        self._own_network.heal()

    @property
    def _own_network(self) -> FleetNetwork:
        if self._network is None:
            raise FleetError("these vehicles share the host's network, which can't be cut")
        return self._network

    def down(self, keep_data: bool) -> None:
        """Interrupt all and wait; kill those that outlast `GRACE_SECONDS`, and their children."""
        processes = self._started().every
        for process in processes:
            process.send(signal.SIGINT)
        deadline = time.monotonic() + GRACE_SECONDS
        for process in processes:
            if not process.wait(max(0.0, deadline - time.monotonic())):
                kill_family(process.pid)
            self._wait(process)

    def _wait(self, process: ProcessIdentity) -> None:
        """Wait for the end of one that is about to end; as a child it leaves a status."""
        process.wait(GRACE_SECONDS)
        for child in self.children.values():
            if child.pid == process.pid:
                child.wait()

    def _started(self) -> _Started:
        """Raises FleetError where the file is damaged."""
        file = self._folder.processes
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            vehicles = {n: ProcessIdentity(**p) for n, p in document["vehicles"].items()}
            server = document.get("server")
            return _Started(document["environment"], vehicles, server and ProcessIdentity(**server))
        except FileNotFoundError:
            return _Started()
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise FleetError(
                f"{file} can't be read ({error!r:.200}): end the fleet's processes by hand"
            ) from error
