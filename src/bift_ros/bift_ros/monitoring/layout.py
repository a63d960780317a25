"""Where things stand on the map, in metres: vehicles at their poses, or on a ring without them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

NEIGHBOURS = 10.0
"""Metres between two vehicles on the ring."""
SMALLEST_RADIUS = 12.0
MARGIN = 8.0
"""Metres between the lowest vehicle and the chain."""
_SNAP = 25.0
"""The chain follows moving vehicles in steps of so many metres."""


class Point(NamedTuple):
    """Metres to the east and north, and up."""

    x: float
    y: float
    z: float = 0.0


ORIGIN = Point(0.0, 0.0)


@dataclass(frozen=True)
class Pose:
    """Where a vehicle is and where it looks."""

    x: float
    y: float
    yaw: float
    """Radians, counter-clockwise from the east."""


@dataclass(frozen=True)
class Layout:
    """Where everything stands."""

    vehicles: Mapping[str, Pose]
    """By name."""
    chain: Point
    """The top right corner of the place for the chain."""


def pose_of(x: float, y: float, orientation: tuple[float, float, float, float]) -> Pose | None:
    """A pose from a place in metres and a quaternion (x, y, z, w) of any length.

    None where one of them is not finite.
    """
    qx, qy, qz, qw = orientation
    yaw = math.atan2(2 * (qw * qz + qx * qy), qw * qw + qx * qx - qy * qy - qz * qz)
    return Pose(x, y, yaw) if all(map(math.isfinite, (x, y, yaw))) else None


def lay_out(names: Iterable[str], poses: Mapping[str, Pose]) -> Layout:
    """Place vehicles by name: where a pose is known there, the others on a ring above the chain."""
    names = sorted(names)
    placed = {name: poses[name] for name in names if name in poses}
    chain = _below(placed.values()) if placed else ORIGIN
    return Layout(placed | _ring([n for n in names if n not in placed], chain), chain)


def _below(poses: Iterable[Pose]) -> Point:
    poses = list(poses)
    middle = (min(p.x for p in poses) + max(p.x for p in poses)) / 2
    lowest = min(p.y for p in poses) - MARGIN
    return Point(round(middle / _SNAP) * _SNAP, math.floor(lowest / _SNAP) * _SNAP)


def _ring(names: list[str], chain: Point) -> dict[str, Pose]:
    """Clockwise from the north, each looking on to the next."""
    radius = max(SMALLEST_RADIUS, len(names) * NEIGHBOURS / math.tau)
    centre = Point(chain.x, chain.y + MARGIN + radius)
    turns = [math.pi / 2 - math.tau * i / len(names) for i in range(len(names))]
    return {
        name: Pose(
            centre.x + radius * math.cos(turn),
            centre.y + radius * math.sin(turn),
            turn - math.pi / 2,
        )
        for name, turn in zip(names, turns, strict=True)
    }
