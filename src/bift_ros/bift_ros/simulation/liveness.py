"""After the last fault the fleet learns on: every honest vehicle soon ends another iteration."""

from __future__ import annotations

from bift_ros.simulation.invariants import Invariants
from bift_ros.simulation.vehicle import Environment, Vehicle
from bift_ros.simulation.world import INITIAL_MODEL

BOUND = 100
"""How many times T_m the faults may be over, at the most, when every one has ended it."""
_AGAIN_MS = 1_000
_NEXT_TASK_MS = 20_000


class Liveness:
    """Has the fleet a task at all times, and watches it where the faults are over."""

    def __init__(self, fleet: Environment, invariants: Invariants) -> None:
        self._fleet, self._invariants = fleet, invariants
        self._before = 0
        """Iterations that any honest vehicle's chain had when the faults ended."""
        self.satisfied = not fleet.scenario.faults
        """Whether every honest vehicle has ended another; nothing is to be seen without faults."""
        self.after_ms = 0
        """How long after the last fault that was."""
        self._since = self._proposed_at = 0

    def propose(self, iterations: int, name: str) -> None:
        """Have an honest vehicle propose a task, once it can put a model into a file.

        Again, as long as it is neither going on nor done: somebody else's may have come first.
        """
        if any(self._has_had(vehicle, name) for vehicle in self._fleet.honest):
            self._fleet.queue.after(_NEXT_TASK_MS, self.propose, iterations, name)
            return
        for vehicle in self._fleet.honest:
            if self._can_propose(vehicle):
                cid = vehicle.keep_model(INITIAL_MODEL, vehicle.peer.state)
                vehicle.submit(self._fleet.proposal(cid, iterations, name))
                self._fleet.queue.after(_NEXT_TASK_MS, self.propose, iterations, name)
                return
        self._fleet.queue.after(_AGAIN_MS, self.propose, iterations, name)

    def watch(self) -> None:
        """The faults are over."""
        fleet = self._fleet
        self._since = fleet.queue.now
        self._before = max(self._invariants.models(vehicle) for vehicle in fleet.honest)
        self._look()

    @staticmethod
    def _has_had(vehicle: Vehicle, name: str) -> bool:
        if not hasattr(vehicle, "peer"):
            return False
        task = vehicle.peer.state.latest_task
        return task is not None and task.model_id == name

    @staticmethod
    def _can_propose(vehicle: Vehicle) -> bool:
        peer = vehicle.peer
        return (
            vehicle.online
            and not vehicle.disk_full
            and vehicle.address in peer.state.members
            and peer.can_write_models
        )

    def _look(self) -> None:
        fleet, invariants = self._fleet, self._invariants
        waited = fleet.queue.now - self._since
        behind = [v for v in fleet.honest if invariants.models(v) <= self._before]
        bound = BOUND * fleet.scenario.policy.update_wait_ms
        if not behind:
            self.satisfied, self.after_ms = True, waited
            return
        if waited >= bound > waited - _AGAIN_MS:
            for vehicle in behind:
                invariants.broken(
                    "liveness", vehicle, f"no iteration ended {BOUND} T_m after the last fault"
                )
        best = max(fleet.honest, key=lambda vehicle: invariants.models(vehicle))
        idle = best.peer.state.task is None
        if idle and fleet.queue.now - self._proposed_at >= _NEXT_TASK_MS:
            self._proposed_at = fleet.queue.now
            self.propose(1, f"after{waited}")
        fleet.queue.after(_AGAIN_MS, self._look)
