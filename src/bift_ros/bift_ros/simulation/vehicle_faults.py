"""What goes wrong in one honest vehicle: crashes, full disks, set clocks, trainings that fail."""

from __future__ import annotations

import random
from collections.abc import Callable

from bift_ros.simulation.fleet import Fleet
from bift_ros.simulation.strike import Strike
from bift_ros.simulation.vehicle import Vehicle

_DOWN_MS = (3_000, 40_000)
_AWAY_MS = (60_000, 200_000)
_STEP_MS = 3 * 3_600_000
_STEPPED_MS = (20_000, 60_000)
_FULL_MS = (2_000, 20_000)
_TRAINING_MS = (5_000, 40_000)
_SLOW_TRAINING_MS = (5_000, 20_000)


def _down(fleet: Fleet, rng: random.Random, lasts: tuple[int, int]) -> Strike | None:
    """One more vehicle is off, as long as few are."""
    up = [vehicle for vehicle in fleet.honest if vehicle.online]
    vehicle, lasts_ms = rng.choice(fleet.honest), rng.randint(*lasts)
    down = len(fleet.honest) - len(up)
    if not vehicle.online or down >= max(1, len(fleet.vehicles) // 10) or len(up) < 2:
        return None

    def restart() -> None:
        if not vehicle.online and not vehicle.broken:
            vehicle.boot()

    text = f"vehicle {vehicle.number} is off for {lasts_ms / 1000:.0f} s"
    return Strike(text, lasts_ms, vehicle.crash, restart, overlaps=True)


def _crash(fleet: Fleet, rng: random.Random) -> Strike | None:
    return _down(fleet, rng, _DOWN_MS)


def _absence(fleet: Fleet, rng: random.Random) -> Strike | None:
    """A vehicle is away for many iterations."""
    return _down(fleet, rng, _AWAY_MS)


def _torn(fleet: Fleet, rng: random.Random) -> Strike:
    """The power fails as a vehicle writes to its chain's store, before or after it is written."""
    vehicle, moment = rng.choice(fleet.honest), rng.choice(("before", "after"))
    lasts_ms = rng.randint(*_DOWN_MS)

    def begin() -> None:
        vehicle.power_fails = moment

    def end() -> None:
        vehicle.power_fails = ""
        if not vehicle.online and not vehicle.broken:
            vehicle.boot()

    text = f"the power of vehicle {vehicle.number} fails {moment} its next write"
    return Strike(text, lasts_ms, begin, end)


def _clock(fleet: Fleet, rng: random.Random) -> Strike:
    """A clock is set by hours, and set right some time later."""
    vehicle, step = rng.choice(fleet.honest), rng.choice((-_STEP_MS, _STEP_MS))

    def begin() -> None:
        vehicle.offset_ms += step

    def end() -> None:
        vehicle.offset_ms -= step

    text = f"the clock of vehicle {vehicle.number} is set by {step} ms"
    return Strike(text, rng.randint(*_STEPPED_MS), begin, end, overlaps=True)


def _disk(fleet: Fleet, rng: random.Random) -> Strike | None:
    vehicle = rng.choice(fleet.honest)
    lasts_ms = rng.randint(*_FULL_MS)
    if vehicle.disk_full:
        return None

    def begin() -> None:
        vehicle.disk_full = True

    def end() -> None:
        vehicle.disk_full = False

    text = f"the disk of vehicle {vehicle.number} is full"
    return Strike(text, lasts_ms, begin, end, overlaps=True)


def _training(fleet: Fleet, rng: random.Random) -> Strike:
    """Some vehicles' trainings fail, or take long."""
    chosen = [vehicle for vehicle in fleet.honest if rng.random() < 0.3]
    slow_ms = rng.choice((0, rng.randint(*_SLOW_TRAINING_MS)))

    def hold(vehicles: list[Vehicle], fails: bool, ms: int) -> None:
        for vehicle in vehicles:
            vehicle.training_fails, vehicle.training_slow_ms = fails, ms

    what = f"take {slow_ms} ms more" if slow_ms else "fail"
    return Strike(
        f"trainings of {len(chosen)} vehicles {what}",
        rng.randint(*_TRAINING_MS),
        lambda: hold(chosen, not slow_ms, slow_ms),
        lambda: hold(chosen, False, 0),
    )


VEHICLE_FAULTS: dict[str, Callable[[Fleet, random.Random], Strike | None]] = {
    "crash": _crash,
    "absence": _absence,
    "torn": _torn,
    "clock": _clock,
    "disk": _disk,
    "training": _training,
}
