"""When things go wrong in a run: every kind strikes again and again, until all faults end.

A kind draws from a generator of its own and numbers its strikes (`crash0`, `crash1`), so that one
kind or one strike can be left out and the others stay as they were.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from bift_ros.simulation.fleet import Fleet
from bift_ros.simulation.network_faults import NETWORK_FAULTS
from bift_ros.simulation.strike import Strike
from bift_ros.simulation.vehicle_faults import VEHICLE_FAULTS

_OFFSET_MS = 3_000
_DRIFT = 0.002

Draw = Callable[[Fleet, random.Random], Strike | None]
"""Draws how a kind strikes next; None where it can't just now."""

STRIKES: Mapping[str, Draw] = {**NETWORK_FAULTS, **VEHICLE_FAULTS}


class Faults:
    """Draws the faults from the seed and queues them; all end at one moment."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._kinds = [_Kind(fleet, k) for k in fleet.scenario.faults if k in STRIKES]

    def begin(self) -> None:
        """Plan the first of each kind."""
        fleet = self._fleet
        if "skew" in fleet.scenario.faults:
            rng = fleet.random("skew")
            for vehicle in fleet.vehicles:
                vehicle.offset_ms = rng.randint(-_OFFSET_MS, _OFFSET_MS)
                vehicle.drift = rng.uniform(-_DRIFT, _DRIFT)
        for kind in self._kinds:
            kind.plan()
        fleet.queue.after(fleet.scenario.faults_end_ms, self._heal)

    def _heal(self) -> None:
        for kind in self._kinds:
            kind.end_all()
        self._fleet.history.fault(self._fleet.queue.now, "the faults end; Byzantine vehicles go on")
        self._fleet.healed()


class _Kind:
    """One kind's strikes."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self._fleet, self._name = fleet, name
        self._rng = fleet.random(name)
        self._draw = STRIKES[name]
        self._count = 0
        self._open: dict[str, Strike] = {}
        self._over = False

    def plan(self, after_ms: int = 0) -> None:
        """Strike after a calm."""
        self._fleet.queue.after(after_ms + self._rng.randint(*_CALM_MS[self._name]), self._strike)

    def end_all(self) -> None:
        """End what goes on, and strike no more."""
        self._over = True
        for name in list(self._open):
            self._end(name)

    def _strike(self) -> None:
        if self._over:
            return
        strike, name = self._draw(self._fleet, self._rng), f"{self._name}{self._count}"
        if strike is None:
            self.plan()
            return
        self._count += 1
        if name not in self._fleet.scenario.without:
            self._fleet.struck.append(name)
            self._say(f"{name}: {strike.text}")
            self._open[name] = strike
            strike.begin()
            self._fleet.queue.after(strike.lasts_ms, self._end, name)
        self.plan(0 if strike.overlaps else strike.lasts_ms)

    def _end(self, name: str) -> None:
        strike = self._open.pop(name, None)
        if strike is not None:
            self._say(f"{name} is over")
            strike.end()

    def _say(self, text: str) -> None:
        self._fleet.history.fault(self._fleet.queue.now, text)


_CALM_MS = {
    "delay": (0, 10_000),
    "loss": (0, 10_000),
    "duplicate": (0, 20_000),
    "reorder": (0, 20_000),
    "partition": (10_000, 60_000),
    "crash": (5_000, 60_000),
    "torn": (3_000, 30_000),
    "absence": (5_000, 60_000),
    "clock": (5_000, 60_000),
    "disk": (2_000, 20_000),
    "training": (0, 20_000),
}
"""How long until a kind strikes next."""
