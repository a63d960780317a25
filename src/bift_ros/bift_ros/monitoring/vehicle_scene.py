"""Vehicles as shapes on the map: coloured by state, labelled with name, stake and accuracy."""

from __future__ import annotations

from collections.abc import Iterator

from bift_ros.history.chain import Relation
from bift_ros.monitoring.colours import VEHICLE_STATES, WHITE
from bift_ros.monitoring.findings import SILENT_SECONDS
from bift_ros.monitoring.layout import Layout, Point
from bift_ros.monitoring.scene import Key, Shape
from bift_ros.monitoring.view import FleetView, ObservedVehicle

CAR = Point(4.0, 2.0, 1.5)
_LETTER = Point(0.0, 0.0, 1.2)
_LABEL_ABOVE = 4.0
_LEGEND_LEFT, _LEGEND_UP, _LEGEND_STEP = 26.0, 7.0, 1.8


def state_of(vehicle: ObservedVehicle, view: FleetView, now: float) -> str:
    """One of `VEHICLE_STATES`; `now` is in seconds of the listener's clock."""
    if vehicle.status is None or vehicle.is_silent(now, SILENT_SECONDS):
        return "silent"
    if view.history.relation(vehicle.tip_hash) == Relation.FORKED:
        return "forked"
    state = vehicle.status.state.partition(":")[0]
    return state if state in VEHICLE_STATES else "idle"


def vehicle_shapes(view: FleetView, layout: Layout, now: float) -> Iterator[Shape]:
    """A body and a label of each vehicle, and what the colours mean."""
    for number, vehicle in enumerate(view.vehicles.values()):
        pose = layout.vehicles[vehicle.name]
        state = state_of(vehicle, view, now)
        yield Shape(
            Key("vehicles", number),
            "cube",
            VEHICLE_STATES[state],
            CAR,
            Point(pose.x, pose.y, CAR.z / 2),
            pose.yaw,
        )
        yield Shape(
            Key("labels", number),
            "text",
            WHITE,
            _LETTER,
            Point(pose.x, pose.y, _LABEL_ABOVE),
            text=_label(vehicle, state),
        )
    yield from _legend(layout)


def _label(vehicle: ObservedVehicle, state: str) -> str:
    if vehicle.status is None:
        return f"{vehicle.name}\n{state}"
    known = vehicle.status.task.current_iter > 0
    accuracy = f"{vehicle.status.task.accuracy:.0%}" if known else "no model yet"
    return f"{vehicle.name}\n{state}\n{vehicle.status.chain.balance} tokens, {accuracy}"


def _legend(layout: Layout) -> Iterator[Shape]:
    for number, (state, colour) in enumerate(VEHICLE_STATES.items()):
        yield Shape(
            Key("legend", number),
            "text",
            colour,
            _LETTER,
            Point(
                layout.chain.x - _LEGEND_LEFT,
                layout.chain.y + _LEGEND_UP + number * _LEGEND_STEP,
            ),
            text=state,
        )
