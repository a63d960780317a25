"""A fleet that was brought up: waiting for it, its state, its logs and its end."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bift_ros.chain.verification import Verification
from bift_ros.consensus.genesis import load_genesis
from bift_ros.fleet.runs.reading import outcome_of, read_model
from bift_ros.fleet.runtimes.folder import FLEETS, FleetFolder, read_record
from bift_ros.fleet.runtimes.registry import make_runtime
from bift_ros.fleet.runtimes.runtime import FleetError, Monitor, Runtime
from bift_ros.monitoring.status import Statuses, VehicleStatus
from bift_ros.monitoring.status_json import status_json

POLL_SECONDS = 0.25
ENDED, SILENT = "ended", "silent"
"""States of vehicles that don't run, and of those that run and have not been heard."""
_REPORTED = ("tip", "height", "accuracy", "balance", "rss_mb")


class Fleet:
    """One that was brought up, and may have gone down since."""

    def __init__(self, folder: FleetFolder, runtime: Runtime | None = None) -> None:
        """`runtime` is what it was brought up with. Raises FleetError where none lies there."""
        self.folder, self.record = folder, read_record(folder)
        self.runtime = runtime or make_runtime(self.record.runtime, folder)

    @property
    def ended(self) -> list[str]:
        """The vehicles that don't run."""
        running = self.runtime.running()
        return [name for name in self.record.vehicles if name not in running]

    @property
    def runs(self) -> bool:
        """Whether any vehicle does."""
        return len(self.ended) < len(self.record.vehicles)

    def command(self, action: str, *options: str) -> str:
        """What a person types to do something with this fleet."""
        fleets = self.folder.root.parent
        where = () if fleets == FLEETS else ("--fleets", str(fleets))
        return f"`{shlex.join(['bift', 'fleet', action, self.folder.root.name, *options, *where])}`"

    def listening(self) -> AbstractContextManager[Monitor]:
        """Hear the vehicles."""
        return self.runtime.monitor()

    def wait(self, monitor: Monitor, timeout: float, show: Callable[[Statuses], None]) -> float:
        """Wait until every vehicle has heard all the others; the seconds that it took.

        `show` is told several times a second what the vehicles say. Raises FleetError when one
        ends or `timeout` seconds pass.
        """
        began = time.monotonic()
        for statuses in self.statuses(monitor):
            show(statuses)
            waiting = [name for name, status in statuses.items() if not self._hears_all(status)]
            if not waiting:
                break
            for name in self.ended:
                raise FleetError(self.end_of(name))
            if time.monotonic() - began > timeout:
                raise FleetError(
                    f"after {timeout:.0f} s these have not heard all others: {', '.join(waiting)}; "
                    f"{self.command('logs')} may tell why"
                )
        return time.monotonic() - began

    def end_of(self, name: str) -> str:
        """What to say of a vehicle that has ended by itself."""
        return f"{name} has ended; {self.command('logs', '--vehicle', name)} tells why"

    def statuses(self, monitor: Monitor) -> Iterator[dict[str, VehicleStatus | None]]:
        """What every vehicle says of itself, at once and then several times a second."""
        while True:
            heard = monitor.vehicles
            yield {name: heard.get(name) for name in self.record.vehicles}
            time.sleep(POLL_SECONDS)

    def report(self, patience: float) -> list[dict[str, Any]]:
        """A row for each vehicle; those that run are waited for, for `patience` seconds at most."""
        running = set(self.record.vehicles) - set(self.ended)
        if not running:
            return self.rows({})
        with self.listening() as monitor:
            monitor.wait(lambda heard: all(heard.get(name) for name in running), patience)
            return self.rows(monitor.vehicles)

    def rows(self, statuses: Statuses) -> list[dict[str, Any]]:
        """Each vehicle's name and state, and what it said: None where it said nothing."""
        rows, ended = [], self.ended
        for name in self.record.vehicles:
            status = None if name in ended else statuses.get(name)
            document = status_json(status) if status is not None else {}
            state = ENDED if name in ended else document.get("state", SILENT)
            said = {field: document.get(field) for field in _REPORTED}
            rows.append({"name": name, "state": state, **said})
        return rows

    def logs(self, vehicles: Sequence[str], follow: bool) -> Iterator[tuple[str, str]]:
        """Names and lines of vehicles' logs, all of them where none is named. Raises FleetError."""
        for name in vehicles:
            if name not in self.record.vehicles:
                raise FleetError(
                    f"there is no vehicle {name!r} in the fleet {self.record.name}: choose of "
                    f"{', '.join(self.record.vehicles)}"
                )
        return self.runtime.logs(vehicles or self.record.vehicles, follow)

    def data_of(self, vehicle: str) -> AbstractContextManager[Path]:
        """The data folder of a vehicle that doesn't run; to be read only."""
        if vehicle not in self.ended:
            end = self.command("down", "--keep-data")
            raise FleetError(f"{vehicle} runs, and its data change: {end} first")
        return self.runtime.data(vehicle)

    def model(self, vehicle: str, cid: str) -> bytes:
        """A model that a vehicle has, whether it runs or not. Raises what `read_model` does."""
        with self.runtime.data(vehicle) as data:
            genesis = load_genesis(self.folder.genesis)
            return read_model(cid, data, genesis, self.folder.vehicle(vehicle))

    def outcome(self, vehicle: str) -> Verification:
        """The chain of a vehicle that doesn't run, verified."""
        with self.data_of(vehicle) as data:
            genesis = load_genesis(self.folder.genesis)
            return outcome_of(data, genesis, self.folder.vehicle(vehicle))

    def down(self, keep_data: bool) -> None:
        """End every vehicle; without `keep_data` nothing of the fleet is left."""
        self.runtime.down(keep_data)
        if not keep_data:
            shutil.rmtree(self.folder.root)

    def _hears_all(self, status: VehicleStatus | None) -> bool:
        return status is not None and status.chain.peers >= len(self.record.vehicles) - 1
