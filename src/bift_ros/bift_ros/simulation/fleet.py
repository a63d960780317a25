"""All vehicles of one run, the network between them, and what they have in common."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from bift_ros.consensus.blocks import Block
from bift_ros.peer.effects import Effect
from bift_ros.simulation.agenda import Agenda
from bift_ros.simulation.history import History
from bift_ros.simulation.invariants import Invariants
from bift_ros.simulation.liars import choose_liars
from bift_ros.simulation.network import Network
from bift_ros.simulation.scenario import Scenario
from bift_ros.simulation.vehicle import TICK_MS, Vehicle
from bift_ros.simulation.world import world_of

_FETCH_MS = (20, 60)


class Fleet:
    """Everything of a run that is not one vehicle's own."""

    invariants: Invariants | None = None

    def __init__(self, scenario: Scenario, seed: int, history: History) -> None:
        """Make the vehicles; `begin` starts them. Every draw comes from `seed`."""
        self.scenario, self.seed, self.history = scenario, seed, history
        self.world = world_of(scenario)
        self.agenda = Agenda()
        self.started = self.agenda.now
        self.network = Network(self.agenda, self.random("network"))
        self.archive: dict[str, bytes] = {}
        """Every file that anybody has made, by CID: the invariants' own copy."""
        self._rng = self.random("fleet")
        self.trainers = frozenset(range(scenario.trainers))
        self.vehicles = [
            Vehicle(self, number, self.random(f"vehicle {number}"))
            for number in range(scenario.vehicles)
        ]
        self.by_address = {vehicle.address: vehicle for vehicle in self.vehicles}
        self.by_url = {vehicle.url: vehicle for vehicle in self.vehicles}
        self._others = {
            vehicle.number: [other for other in self.vehicles if other is not vehicle]
            for vehicle in self.vehicles
        }
        choose_liars(self.vehicles, scenario, self.random("liars"))
        self.honest = [vehicle for vehicle in self.vehicles if vehicle.honest]
        self.invariants = Invariants(self)

    def random(self, purpose: str) -> random.Random:
        """A generator of its own for each purpose, so that one more draw changes little else."""
        return random.Random(f"{self.seed} {purpose}")

    def begin(self) -> None:
        """Start every vehicle and its ticks."""
        for vehicle in self.vehicles:
            vehicle.boot()
        for vehicle in self.vehicles:
            self.agenda.after(self._rng.randrange(TICK_MS), self._tick, vehicle)

    def others(self, vehicle: Vehicle) -> Sequence[Vehicle]:
        """Every vehicle but this one."""
        return self._others[vehicle.number]

    def fetch_ms(self, vehicle: Vehicle) -> int:
        """How long a file's transfer takes."""
        slow = self.network.slow_ms
        return self._rng.randint(*_FETCH_MS) + (self._rng.randrange(slow) if slow else 0)

    def ask(
        self, asker: Vehicle, address: str, answer: Callable[[Vehicle, Any], None], what: object
    ) -> None:
        """Carry a request to a vehicle, which answers through `answer(vehicle, what)`."""
        other = self.by_address.get(address)
        if other is None or other is asker:
            return
        delay = self.network.delay(asker, other)
        if delay is not None:
            self.network.count_request()
            self.agenda.after(delay, self._asked, other, answer, what)

    def completed(self) -> bool:
        """Whether all honest vehicles have finished on one tip, and owe their owners nothing."""
        if self.agenda.now - self.started < self.scenario.faults_end_ms // 2:
            return False
        tip = self.honest[0].store.tip
        for vehicle in self.honest:
            if not vehicle.online or vehicle.store.tip != tip or not vehicle.peer.state.finished:
                return False
        return self.invariants is None or not self.invariants.unsettled()

    def describe(self) -> str:
        """Where the honest vehicles stand."""
        places: dict[str, int] = {}
        for vehicle in self.honest:
            task = vehicle.peer.state.latest_task
            done = task.current_iter if task is not None else 0
            place = f"block {vehicle.peer.state.height} {vehicle.store.tip.hex()[:6]}"
            place += f" iteration {done}"
            places[place] = places.get(place, 0) + 1
        return ", ".join(f"{count} vehicles at {place}" for place, count in places.items())

    def note(self, vehicle: Vehicle, effect: Effect) -> None:
        """An effect is about to be carried out."""
        self.history.effect(self.agenda.now, vehicle, effect)
        if self.invariants is not None:
            self.invariants.effect(vehicle, effect)

    def stored(self, vehicle: Vehicle, block: Block) -> None:
        """A vehicle has accepted a block."""
        if self.invariants is not None:
            self.invariants.stored(vehicle, block)

    @staticmethod
    def _asked(other: Vehicle, answer: Callable[[Vehicle, Any], None], what: object) -> None:
        if other.online:
            answer(other, what)

    def _tick(self, vehicle: Vehicle) -> None:
        vehicle.tick()
        self.agenda.after(TICK_MS, self._tick, vehicle)
