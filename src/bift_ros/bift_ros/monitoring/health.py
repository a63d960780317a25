"""Judges a fleet from what it says: a finding for each part of each vehicle, and for the fleet."""

from __future__ import annotations

from collections.abc import Iterator

from bift_ros.monitoring.findings import FLEET, Finding, Level, Thresholds
from bift_ros.monitoring.memory import VehicleMemory
from bift_ros.monitoring.vehicle_checks import CHECKS, Known
from bift_ros.monitoring.view import FleetView, ObservedVehicle


class HealthMonitor:
    """Looks at the view from time to time, and remembers what shows only over time.

    Nothing here is authenticated: a vehicle that lies can look healthy, and only itself ill.
    """

    def __init__(self, view: FleetView, thresholds: Thresholds) -> None:
        self._view, self._thresholds = view, thresholds
        self._memories: dict[str, VehicleMemory] = {}
        self._revision = 0
        self._best: tuple[str, float] = ("", 0.0)

    def check(self, now: float) -> list[Finding]:
        """The findings at `now`, in seconds of the listener's clock; call it once a second."""
        for vehicle in self._view.changed_since(self._revision):
            if vehicle.status is not None:
                self._memory(vehicle).learn(vehicle.status, now)
        self._revision = self._view.revision
        history = self._view.history
        for vehicle in self._view.vehicles.values():
            self._memory(vehicle).compare(history.relation(vehicle.tip_hash), now)
        vehicles = sorted(self._view.vehicles.values(), key=lambda vehicle: vehicle.name)
        findings = [f for vehicle in vehicles for f in self._vehicle(vehicle, now)]
        return [self._fleet(now), self._learning(), *findings]

    def _memory(self, vehicle: ObservedVehicle) -> VehicleMemory:
        return self._memories.setdefault(vehicle.name, VehicleMemory())

    def _is_stale(self, vehicle: ObservedVehicle, now: float) -> bool:
        return vehicle.is_silent(now, self._thresholds.stale_seconds)

    def _vehicle(self, vehicle: ObservedVehicle, now: float) -> Iterator[Finding]:
        if vehicle.status is None or self._is_stale(vehicle, now):
            long = f"for {now - vehicle.heard_at:.0f} s" if vehicle.status is not None else "yet"
            for part in CHECKS:
                yield Finding(vehicle.name, part, Level.STALE, f"not heard {long}")
            return
        memory, head = self._memory(vehicle), self._view.history.height
        known = Known(vehicle.status, memory, vehicle.tip_hash, head, self._thresholds, now)
        for part, check in CHECKS.items():
            verdict = check(known)
            values = {name: str(value) for name, value in verdict.values.items()}
            yield Finding(vehicle.name, part, verdict.level, verdict.message, values)

    def _fleet(self, now: float) -> Finding:
        vehicles = list(self._view.vehicles.values())
        live = [vehicle for vehicle in vehicles if not self._is_stale(vehicle, now)]
        apart = [v.name for v in vehicles if self._memory(v).apart_since is not None]
        equivocations = {e for v in live if v.status for e in v.status.chain.equivocations}
        conflicts = sorted(v.status.chain.conflict for v in live if v.status)
        values = {
            "vehicles": str(len(vehicles)),
            "heard": str(len(live)),
            "head": self._view.head,
            "apart": ", ".join(sorted(apart)),
            "equivocations": "; ".join(sorted(equivocations)),
            "final": str(max((v.status.chain.final_height for v in live if v.status), default=0)),
        }
        level, said = Level.OK, f"{len(vehicles) - len(apart)} of {len(vehicles)} vehicles agree"
        if vehicles and not live:
            level, said = Level.STALE, "no vehicle is heard"
        elif any(conflicts):
            level, said = Level.ERROR, f"rivals are final: {conflicts[-1]}"
        elif equivocations:
            level, said = Level.WARN, f"caught signing two blocks: {sorted(equivocations)[0]}"
        return Finding(FLEET, "consensus", level, said, values)

    def _learning(self) -> Finding:
        """How the global model does, by the newest iteration on the head's branch."""
        iterations = self._view.history.iterations
        if not iterations:
            return Finding(FLEET, "learning", Level.OK, "no global model yet")
        newest, model = iterations[-1], iterations[-1].model
        task, best = self._best
        best = max(best, model.accuracy) if task == model.model_id else model.accuracy
        self._best = (model.model_id, best)
        values = {
            "task": model.model_id,
            "iteration": f"{model.current_iter}/{model.total_iter}",
            "rule": model.rule,
            "accuracy": f"{model.accuracy:.4f}",
            "best accuracy": f"{best:.4f}",
            "contributors": ", ".join(map(self._view.name_of, model.contributors)),
            "refused": ", ".join(self._view.name_of(a) for a in newest.left_out),
        }
        said = f"accuracy {model.accuracy:.3f} after iteration {model.current_iter}"
        level = Level.OK
        if best - model.accuracy > self._thresholds.accuracy_drop:
            level, said = Level.WARN, f"diverging: {said}, and was {best:.3f}"
        return Finding(FLEET, "learning", level, said, values)
