"""Some vehicles are cut off from the others for a while: they must catch up."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from bift_ros.fleet.runs.faults import Fault, iteration_of, on_one_tip
from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.monitoring.status import Statuses

ITERATIONS_APART = 2
"""So many iterations the majority makes before the network is healed."""
LEAST_ITERATIONS = ITERATIONS_APART + 2
LEAST_VEHICLES = 3
_STATUS_PERIOD_SECONDS = 4.0
"""After so long every status in hand was written after the cut: vehicles do it every 3 s."""


@dataclass(frozen=True)
class Partition:
    """Who is parted from whom, and when."""

    majority: tuple[str, ...]
    minority: tuple[str, ...]
    iteration: int
    """The cut comes once the fleet has finished so many iterations."""
    iterations: int
    """All of the task."""


def draw_partition(seed: int, vehicles: Sequence[str], iterations: int) -> Partition:
    """Draw it: a minority of just under a half, and a moment that leaves time to heal."""
    if len(vehicles) < LEAST_VEHICLES or iterations < LEAST_ITERATIONS:
        raise ValueError(
            f"a partition needs at least {LEAST_VEHICLES} vehicles and {LEAST_ITERATIONS} "
            f"iterations, not {len(vehicles)} and {iterations}"
        )
    draw = random.Random(seed)
    minority = set(draw.sample(vehicles, (len(vehicles) - 1) // 2))
    return Partition(
        tuple(v for v in vehicles if v not in minority),
        tuple(v for v in vehicles if v in minority),
        draw.randint(1, iterations - ITERATIONS_APART - 1),
        iterations,
    )


class PartitionFault(Fault):
    """Cuts the minority off, and heals the network when the majority has gone on."""

    name = "disconnect"

    def __init__(self, partition: Partition, console: Console | None = None) -> None:
        super().__init__(console)
        self.victims = partition.minority
        self.partition = partition
        self._cut_at: float | None = None
        self._apart_since: int | None = None
        """The last iteration that anybody had finished when the minority was cut off."""
        self._healed = False
        self._together = False

    @property
    def over(self) -> bool:
        """Whether the network was cut and healed, and the sides have met on one tip since."""
        return self._together

    def step(self, fleet: Fleet, statuses: Statuses) -> None:
        """Cut or heal where that is due."""
        iteration = iteration_of(statuses[name] for name in self.partition.majority)
        if self._cut_at is None:
            if iteration >= self.partition.iteration and all(statuses.values()):
                self._cut(fleet, iteration)
        elif self._apart_since is None:
            if time.monotonic() - self._cut_at >= _STATUS_PERIOD_SECONDS:
                self._count(iteration_of(statuses.values()))
        elif not self._healed:
            if iteration >= self._apart_since + ITERATIONS_APART:
                self._heal(fleet, iteration, statuses)
        elif not self._together and on_one_tip(statuses):
            self._together = True
            height = max(status.chain.height for status in statuses.values() if status)
            self.note(f"both sides stand on one tip, at height {height}")

    def _cut(self, fleet: Fleet, iteration: int) -> None:
        fleet.runtime.disconnect(self.partition.minority)
        self._cut_at = time.monotonic()
        sides = (self.partition.majority, self.partition.minority)
        a, b = (", ".join(side) for side in sides)
        self.note(f"cut the network after iteration {iteration}: {a} | {b}")

    def _count(self, apart_since: int) -> None:
        last = self.partition.iterations - ITERATIONS_APART
        if apart_since > last:
            self.problems.append(
                f"the cut came after iteration {apart_since}, too late: more local epochs "
                "or frames make iterations longer"
            )
        self._apart_since = min(apart_since, last)

    def _heal(self, fleet: Fleet, iteration: int, statuses: Statuses) -> None:
        fleet.runtime.connect()
        self._healed = True
        reached = {name: iteration_of([statuses[name]]) for name in self.partition.minority}
        stood = ", ".join(f"{name} in iteration {number}" for name, number in reached.items())
        self.note(f"healed the network with the majority in iteration {iteration}, {stood}")
        for name, number in reached.items():
            if number >= iteration:
                self.problems.append(f"{name} was cut off, and yet it reached iteration {number}")
