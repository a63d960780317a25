"""All vehicles of one run, honest and Byzantine, and what watches them."""

from __future__ import annotations

from bift_ros.simulation.byzantine import draw_byzantine
from bift_ros.simulation.byzantine_membership import OldKeys
from bift_ros.simulation.byzantine_wire import WireFlooder
from bift_ros.simulation.history import History
from bift_ros.simulation.invariants import Invariants
from bift_ros.simulation.liveness import Liveness
from bift_ros.simulation.requests import Requests
from bift_ros.simulation.scenario import Scenario
from bift_ros.simulation.vehicle import TICK_MS, Environment, Vehicle


class Fleet(Environment):
    """A run's vehicles. Every draw comes from the seed."""

    def __init__(self, scenario: Scenario, seed: int, history: History) -> None:
        """Make the vehicles; `begin` starts them."""
        super().__init__(scenario, seed)
        self.history = history
        kinds = draw_byzantine(scenario, self.random("byzantine"))
        self.gated = WireFlooder in kinds.values()
        self.vehicles = [
            kinds.get(number, Vehicle)(self, number, self.random(f"vehicle {number}"))
            for number in range(scenario.vehicles)
        ]
        self.honest = [vehicle for vehicle in self.vehicles if vehicle.honest]
        self.others = {
            vehicle.number: [other for other in self.vehicles if other is not vehicle]
            for vehicle in self.vehicles
        }
        self.request = Requests(self).request
        self.invariants = Invariants(self, history)
        self.note, self.stored = self.invariants.effect, self.invariants.stored
        self.live = Liveness(self, self.invariants)
        self.healed = self.live.watch
        """To be called when the last fault is over."""
        self.struck: list[str] = []
        """The single faults that there were."""
        self._least_ms = scenario.faults_end_ms // 2
        self.handled, self.raised = self.invariants.after_event, self.invariants.raised

    @property
    def to_leave(self) -> list[Vehicle]:
        """Byzantine members that the others vote out."""
        return [vehicle for vehicle in self.vehicles if isinstance(vehicle, OldKeys)]

    def begin(self) -> None:
        """Start every vehicle and its ticks."""
        for vehicle in self.vehicles:
            vehicle.boot()
        rng = self.random("ticks")
        for vehicle in self.vehicles:
            self.queue.after(rng.randrange(TICK_MS), self._tick, vehicle)

    def completed(self) -> bool:
        """Whether all honest vehicles have finished on one tip, and owe their owners nothing."""
        if not self.live.satisfied or self.queue.now - self.started < self._least_ms:
            return False
        tip = self.honest[0].store.tip
        for vehicle in self.honest:
            if not vehicle.online or vehicle.store.tip != tip or not self.invariants.done(vehicle):
                return False
        return not self.invariants.unsettled()

    def _tick(self, vehicle: Vehicle) -> None:
        vehicle.tick()
        self.queue.after(TICK_MS, self._tick, vehicle)
