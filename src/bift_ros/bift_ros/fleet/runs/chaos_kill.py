"""Vehicles die at random moments and come back: no accepted block may be lost."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from rich.console import Console

from bift_ros.chain.exceptions import StoreError
from bift_ros.fleet.runs.disk import look
from bift_ros.fleet.runs.scenario import Scenario, iteration_of
from bift_ros.fleet.runtimes.plan import VehiclePlan
from bift_ros.fleet.runtimes.processes import ProcessFleet
from bift_ros.monitoring.status import Statuses, VehicleStatus
from bift_ros.nodes.observer.monitor import FleetMonitor

UPDATE_WAIT_MS = 5000
"""Chaos' T_m: it is what a missing vehicle costs the others in every iteration."""
_FIRST_SECONDS = 8.0
"""Stands for an iteration's length before there was one."""
_DOWN_SECONDS = (0.5, 6.0)


@dataclass(frozen=True)
class Kill:
    """One vehicle's death to come."""

    iteration: int
    """The fleet has finished so many iterations by then."""
    victim: str
    delay: float
    """How far into the next iteration, as a share of the last one's length."""
    down_seconds: float
    """From its death to its restart."""


def schedule(seed: int, vehicles: Sequence[str], iterations: int) -> tuple[Kill, ...]:
    """Draw the deaths: one in about every second iteration, one of them the proposer's."""
    draw = random.Random(seed)
    count = max(1, iterations // 2)
    moments = sorted(draw.sample(range(iterations), count))
    # Everybody's turn comes, the proposer's in any case.
    others = draw.sample(vehicles[1:], len(vehicles) - 1)
    victims = list(islice(cycle([vehicles[0], *others]), count))
    draw.shuffle(victims)
    return tuple(
        Kill(moment, victim, round(draw.random(), 3), round(draw.uniform(*_DOWN_SECONDS), 2))
        for moment, victim in zip(moments, victims, strict=True)
    )


class KillScenario(Scenario):
    """Kills vehicles with SIGKILL as scheduled, one after the other, and restarts each."""

    policy: Mapping[str, Any] = {"update_wait_ms": UPDATE_WAIT_MS}

    def __init__(self, kills: Sequence[Kill], console: Console | None = None) -> None:
        super().__init__(console)
        self._left = list(kills)
        self._iteration, self._iteration_began = -1, 0.0
        self._iteration_seconds = _FIRST_SECONDS
        self._down: Kill | None = None
        self._restart_at = 0.0
        self._height_at_death = 0
        self._awaited: str | None = None

    @property
    def over(self) -> bool:
        """Whether all deaths have been died and all victims are back."""
        return not self._left and self._down is None and self._awaited is None

    def step(self, fleet: ProcessFleet, monitor: FleetMonitor) -> None:
        """Kill, restart or welcome back whoever is due."""
        vehicles, now = monitor.vehicles, time.monotonic()
        self._keep_time(vehicles, now)
        if self._down is not None:
            if now >= self._restart_at:
                self._restart(fleet, monitor, self._down)
        elif self._awaited is not None:
            self._welcome(vehicles[self._awaited])
        elif self._left and self._is_due(self._left[0], now):
            self._kill(fleet, monitor, self._left.pop(0), now)

    def _keep_time(self, vehicles: Statuses, now: float) -> None:
        """Notice a new iteration; the first begins once every vehicle has spoken."""
        if self._iteration < 0 and not all(vehicles.values()):
            return
        iteration = iteration_of(vehicles)
        if iteration > self._iteration:
            if self._iteration >= 0:
                self._iteration_seconds = now - self._iteration_began
            self._iteration, self._iteration_began = iteration, now

    def _is_due(self, kill: Kill, now: float) -> bool:
        if self._iteration != kill.iteration:
            return self._iteration > kill.iteration
        return now >= self._iteration_began + kill.delay * self._iteration_seconds

    def _kill(self, fleet: ProcessFleet, monitor: FleetMonitor, kill: Kill, now: float) -> None:
        name = kill.victim
        said = monitor.vehicles[name]
        assert said is not None, "it is due once all have spoken"
        fleet.kill(name)
        monitor.forget(name)
        self.note(
            f"killed {name} after iteration {self._iteration} while {said.state}, "
            f"at height {said.chain.height}"
        )
        self._height_at_death = self._examine(fleet, name, said)
        self._down, self._restart_at = kill, now + kill.down_seconds

    def _examine(self, fleet: ProcessFleet, name: str, said: VehicleStatus) -> int:
        """Look for what the dead vehicle had said it has; the height of its chain on disk."""
        vehicle = _plan_of(fleet, name)
        try:
            found = look(vehicle.folder, fleet.plan.genesis, [bytes.fromhex(said.chain.tip)])
        except StoreError as error:
            self.problems.append(f"{name} left a damaged chain when it was killed: {error}")
            return 0
        if found.missing or found.height < said.chain.height:
            self.problems.append(
                f"{name} lost blocks when it was killed: it had reported height "
                f"{said.chain.height}, tip {said.chain.tip[:12]}, and its disk has height "
                f"{found.height}"
            )
        return found.height

    def _restart(self, fleet: ProcessFleet, monitor: FleetMonitor, kill: Kill) -> None:
        self._down = None
        monitor.forget(kill.victim)  # again: its last words may have come after its death
        fleet.start(_plan_of(fleet, kill.victim))
        self._awaited = kill.victim
        self.note(f"restarted {kill.victim} after {kill.down_seconds} s")

    def _welcome(self, said: VehicleStatus | None) -> None:
        if said is None:
            return
        self.note(f"{self._awaited} is back at height {said.chain.height}")
        if said.chain.height < self._height_at_death:
            self.problems.append(
                f"{self._awaited} came back at height {said.chain.height}, "
                f"below the {self._height_at_death} that it had on disk"
            )
        self._awaited = None


def _plan_of(fleet: ProcessFleet, name: str) -> VehiclePlan:
    return next(v for v in fleet.plan.vehicles if v.name == name)
