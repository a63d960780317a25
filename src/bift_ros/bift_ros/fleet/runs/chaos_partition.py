"""The fleet's network falls into two sides and is healed: the minority must catch up."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from bift_ros.chain.exceptions import StoreError
from bift_ros.fleet.runs.chaos_kill import UPDATE_WAIT_MS
from bift_ros.fleet.runs.disk import ChainOnDisk, look
from bift_ros.fleet.runs.scenario import Scenario, iteration_of, set_environment
from bift_ros.fleet.runtimes.network import FleetNetwork, fleet_network
from bift_ros.fleet.runtimes.processes import ProcessFleet
from bift_ros.nodes.observer.monitor import FleetMonitor

ITERATIONS_APART = 2
"""So many iterations the majority makes before the network is healed."""
LEAST_ITERATIONS = ITERATIONS_APART + 2
LEAST_VEHICLES = 3


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


class PartitionScenario(Scenario):
    """Runs the fleet in a network of its own and cuts it in two; watched from the majority."""

    policy: Mapping[str, Any] = {"update_wait_ms": UPDATE_WAIT_MS}

    def __init__(self, partition: Partition, console: Console | None = None) -> None:
        super().__init__(console)
        self._partition = partition
        self._network: FleetNetwork | None = None
        self._is_cut = False
        self._apart_since: int | None = None
        self._healed = False
        self._together = False

    @property
    def over(self) -> bool:
        """Whether the network was cut and healed, and the sides have met on one tip since."""
        return self._together

    @contextmanager
    def surroundings(self, names: Sequence[str]) -> Iterator[Mapping[str, str]]:
        """Make the network. Raises NetworkError."""
        environment = {
            "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
            "ROS_DOMAIN_ID": "1",  # nobody else is in this network
            # Shared memory would reach across the cut.
            "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4",
        }
        with (
            fleet_network(self._partition.majority, self._partition.minority) as network,
            network.observing(),
            set_environment(environment),
        ):
            self._network = network
            yield environment

    def vehicle_settings(self, name: str) -> Mapping[str, Any]:
        """Serve files to the network."""
        return {
            "gateway_host": "0.0.0.0",
            "gateway_advertised_host": self._made.address_of(name),
        }

    @property
    def namespaces(self) -> Mapping[str, int]:
        """Each vehicle's."""
        return self._made.namespaces

    @property
    def _made(self) -> FleetNetwork:
        assert self._network is not None, "the surroundings come first"
        return self._network

    def step(self, fleet: ProcessFleet, monitor: FleetMonitor) -> None:
        """Cut or heal where that is due."""
        vehicles = monitor.vehicles
        iteration = iteration_of({n: vehicles[n] for n in self._partition.majority})
        if not self._is_cut:
            if iteration >= self._partition.iteration and all(vehicles.values()):
                self._cut(iteration)
        elif self._apart_since is None:
            self._look_who_is_apart(fleet)
        elif not self._healed:
            if iteration >= self._apart_since + ITERATIONS_APART:
                self._heal(fleet, iteration)
        elif not self._together and len({s.chain.tip for s in vehicles.values() if s}) == 1:
            self._together = True
            height = max(s.chain.height for s in vehicles.values() if s)
            self.note(f"both sides stand on one tip, at height {height}")

    def _cut(self, iteration: int) -> None:
        self._made.cut()
        self._is_cut = True
        sides = (self._partition.majority, self._partition.minority)
        a, b = (", ".join(side) for side in sides)
        self.note(f"cut the network after iteration {iteration}: {a} | {b}")

    def _look_who_is_apart(self, fleet: ProcessFleet) -> None:
        """Count from what is on the disks: statuses are a moment old when they come."""
        chains = _chains(fleet, self._partition.majority + self._partition.minority)
        if chains is None:
            return
        self._apart_since = max(c.iterations for c in chains.values())
        last = self._partition.iterations - ITERATIONS_APART
        if self._apart_since > last:
            self.problems.append(
                f"the cut came after iteration {self._apart_since}, too late: more local epochs "
                "or frames make iterations longer"
            )
            self._apart_since = last

    def _heal(self, fleet: ProcessFleet, iteration: int) -> None:
        chains = _chains(fleet, self._partition.minority)
        if chains is None:
            return
        self._made.heal()
        self._healed = True
        stood = ", ".join(f"{n} in iteration {c.iterations}" for n, c in chains.items())
        self.note(f"healed the network with the majority in iteration {iteration}, {stood}")
        for name, chain in chains.items():
            if chain.iterations >= iteration:
                self.problems.append(
                    f"{name} was cut off, and yet it reached iteration {chain.iterations}"
                )


def _chains(fleet: ProcessFleet, names: Sequence[str]) -> dict[str, ChainOnDisk] | None:
    """The chains of running vehicles; None where one is written to at this very moment."""
    vehicles = [v for v in fleet.plan.vehicles if v.name in names]
    try:
        return {v.name: look(v.folder, fleet.plan.genesis) for v in vehicles}
    except StoreError:
        return None
