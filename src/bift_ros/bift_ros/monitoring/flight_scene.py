"""Messages under way as short lines that leave their sender for all others and fade."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from bift_ros.monitoring.colours import FLIGHTS, OTHER_FLIGHTS
from bift_ros.monitoring.layout import Layout, Point, Pose
from bift_ros.monitoring.scene import Key, Shape
from bift_ros.monitoring.view import FleetView, Flight

SECONDS = 1.0
"""How long a message is shown; longer than it took, so that an eye can follow."""
MAX_SHOWN = 10
"""Messages at a time, the newest: a whole fleet's round would be a tangle."""
MAX_RECEIVERS = 60
"""Of a message: anybody may pretend to be a thousand vehicles."""
_LENGTH = 0.2
"""Of a line, as a share of the way."""
_HEIGHT, _WIDTH = 1.0, 0.25
_LIFETIME = 0.5
"""Longer than until the next picture."""


def flight_shapes(view: FleetView, layout: Layout, now: float) -> Iterator[Shape]:
    """The lines of each message that was heard within the last second, one shape a message."""
    number = 0
    for flight in islice(reversed(view.flights), MAX_SHOWN):
        age = (now - flight.at) / SECONDS
        sender = view.name_of(flight.sender)
        if 0.0 <= age < 1.0 and sender in layout.vehicles and len(layout.vehicles) > 1:
            yield _lines(number, flight, layout.vehicles[sender], age, layout, sender)
            number += 1


def _lines(
    number: int, flight: Flight, start: Pose, age: float, layout: Layout, sender: str
) -> Shape:
    tail, tip = age * (1 - _LENGTH), age * (1 - _LENGTH) + _LENGTH
    others = (end for name, end in layout.vehicles.items() if name != sender)
    ends = [
        Point(start.x + share * (end.x - start.x), start.y + share * (end.y - start.y), _HEIGHT)
        for end in islice(others, MAX_RECEIVERS)
        for share in (tail, tip)
    ]
    return Shape(
        Key("flights", number),
        "lines",
        FLIGHTS.get(flight.kind, OTHER_FLIGHTS).faded(1 - age),
        Point(_WIDTH, 0.0),
        points=tuple(ends),
        lifetime=_LIFETIME,
    )
