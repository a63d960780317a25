"""What goes wrong with the radio: it is slow, loses, doubles and reorders, or the fleet splits."""

from __future__ import annotations

import random
from collections.abc import Callable

from bift_ros.simulation.fleet import Fleet
from bift_ros.simulation.strike import Strike

_SLOW_MS = (50, 600)
_LOSS = (0.02, 0.15)
_DOUBLED = (0.05, 0.5)
_LATE = (0.02, 0.3)
_RADIO_MS = (10_000, 40_000)
_SPLIT_MS = (5_000, 25_000)


def _delay(fleet: Fleet, rng: random.Random) -> Strike:
    network, slow_ms = fleet.network, rng.randint(*_SLOW_MS)

    def begin() -> None:
        network.slow_ms = slow_ms

    def end() -> None:
        network.slow_ms = 0

    return Strike(f"the radio delays by {slow_ms} ms", rng.randint(*_RADIO_MS), begin, end)


def _loss(fleet: Fleet, rng: random.Random) -> Strike:
    network, loss = fleet.network, rng.uniform(*_LOSS)

    def begin() -> None:
        network.loss = loss

    def end() -> None:
        network.loss = 0.0

    return Strike(f"the radio loses {loss:.1%}", rng.randint(*_RADIO_MS), begin, end)


def _duplicate(fleet: Fleet, rng: random.Random) -> Strike:
    network, doubled = fleet.network, rng.uniform(*_DOUBLED)

    def begin() -> None:
        network.doubled = doubled

    def end() -> None:
        network.doubled = 0.0

    return Strike(f"{doubled:.1%} of the messages come twice", rng.randint(*_RADIO_MS), begin, end)


def _reorder(fleet: Fleet, rng: random.Random) -> Strike:
    network, late = fleet.network, rng.uniform(*_LATE)

    def begin() -> None:
        network.late = late

    def end() -> None:
        network.late = 0.0

    return Strike(f"{late:.1%} of the messages come late", rng.randint(*_RADIO_MS), begin, end)


def _partition(fleet: Fleet, rng: random.Random) -> Strike:
    network, share = fleet.network, rng.uniform(0.1, 0.9)
    groups = {vehicle.number: int(rng.random() < share) for vehicle in fleet.vehicles}
    size = sum(groups.values())

    def begin() -> None:
        network.groups = groups

    def end() -> None:
        network.groups = {}

    text = f"the network splits: {size} and {len(groups) - size} vehicles"
    return Strike(text, rng.randint(*_SPLIT_MS), begin, end)


NETWORK_FAULTS: dict[str, Callable[[Fleet, random.Random], Strike | None]] = {
    "delay": _delay,
    "loss": _loss,
    "duplicate": _duplicate,
    "reorder": _reorder,
    "partition": _partition,
}
