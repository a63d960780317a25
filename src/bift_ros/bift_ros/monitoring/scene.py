"""A picture in three dimensions as plain shapes, and what changes from one to the next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bift_ros.monitoring.colours import Colour
from bift_ros.monitoring.layout import ORIGIN, Point

Kind = Literal["cube", "text", "lines"]


class Key(NamedTuple):
    """What a shape is known by from one picture to the next."""

    namespace: str
    number: int


@dataclass(frozen=True)
class Shape:
    """One thing in the picture. Lengths are in metres."""

    key: Key
    kind: Kind
    colour: Colour
    size: Point
    """Along its own axes; a text's height is `z`, a line's width `x`."""
    position: Point = ORIGIN
    """Of its centre."""
    yaw: float = 0.0
    """Radians, counter-clockwise."""
    text: str = ""
    points: tuple[Point, ...] = ()
    """Ends of lines, two by two."""
    lifetime: float = 0.0
    """Seconds after which it vanishes by itself; 0: never."""


@dataclass(frozen=True)
class Changes:
    """What to do to one picture for the next."""

    anew: bool
    """Whether all that was there before is to go first."""
    drawn: tuple[Shape, ...]
    """New shapes, and changed ones that replace those of the same key."""
    gone: tuple[Key, ...]

    def __bool__(self) -> bool:
        return self.anew or bool(self.drawn or self.gone)


class Layer:
    """Knows what is shown, and so says what has to change."""

    def __init__(self) -> None:
        self._shown: dict[Key, Shape] | None = None

    def forget(self) -> None:
        """Begin anew: somebody has seen nothing yet."""
        self._shown = None

    def turn_into(self, shapes: Iterable[Shape]) -> Changes:
        """Show these shapes and no others."""
        before, self._shown = self._shown, {shape.key: shape for shape in shapes}
        if before is None:
            return Changes(True, tuple(self._shown.values()), ())
        return Changes(
            False,
            tuple(shape for key, shape in self._shown.items() if before.get(key) != shape),
            tuple(key for key in before if key not in self._shown),
        )
