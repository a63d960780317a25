"""A fleet as shapes: what stands where, in which colour, with which words, and what changes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations
from typing import Any

import pytest

from bift_ros.history.blocks import BlockSummary, ModelSummary
from bift_ros.monitoring import chain_scene, colours
from bift_ros.monitoring.chain_scene import chain_shapes
from bift_ros.monitoring.colours import Colour
from bift_ros.monitoring.findings import SILENT_SECONDS
from bift_ros.monitoring.flight_scene import MAX_SHOWN, flight_shapes
from bift_ros.monitoring.layout import Point, Pose, lay_out, pose_of
from bift_ros.monitoring.scene import Key, Layer, Shape
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.monitoring.status_json import status_from_json
from bift_ros.monitoring.vehicle_scene import vehicle_shapes
from bift_ros.monitoring.view import FleetView, ObservedTip

NOW = 100.0
MODEL = ModelSummary("lights", 1, 5, "cid", "multi_krum", 0.75, ())


def block(name: str, parent: str, height: int, model: ModelSummary | None = None) -> BlockSummary:
    return BlockSummary(
        name, parent, height, "m" * 40, 1000 * height, {"model_commit": 3}, (), model
    )


def status(name: str, tip: str, height: int, **more: Any) -> VehicleStatus:
    address = name.encode().hex().ljust(40, "0")
    said = {"name": name, "address": address, "tip": tip, "height": height, "state": "idle"}
    said |= {"current_iter": 1, "accuracy": 0.87, "balance": 120}
    return status_from_json(said | more)


def fleet(length: int = 3, **vehicles: str) -> FleetView:
    """A chain of blocks b1, b2, … and vehicles on the tips that are given by name."""
    view = FleetView()
    for height in range(1, length + 1):
        view.observe_block(block(f"b{height}", f"b{height - 1}", height), 0.0)
    for name, tip in vehicles.items():
        view.observe_status(status(name, tip, length), NOW)
    return view


def vehicle_layer(view: FleetView, now: float = NOW) -> dict[Key, Shape]:
    layout = lay_out(view.vehicles, {})
    return by_key(vehicle_shapes(view, layout, now))


def chain_layer(view: FleetView) -> dict[Key, Shape]:
    return by_key(chain_shapes(view, lay_out(view.vehicles, {})))


def by_key(shapes: Iterable[Shape]) -> dict[Key, Shape]:
    listed = list(shapes)
    keyed = {shape.key: shape for shape in listed}
    assert len(keyed) == len(listed), "RViz refuses two markers of one name"
    assert all(shape.text.isascii() for shape in listed), "RViz draws ASCII only"
    return keyed


def test_a_vehicle_is_labelled_with_its_name_stake_and_accuracy() -> None:
    view = fleet(3, bus="b3", car="b3")
    view.observe_status(status("car", "b3", 3, state="training", current_iter=0), NOW)
    shown = vehicle_layer(view)
    assert shown[Key("labels", 0)].text == "bus\nidle\n120 tokens, 87%"
    assert shown[Key("labels", 1)].text == "car\ntraining\n120 tokens, no model yet"
    assert shown[Key("vehicles", 0)].colour == colours.VEHICLE_STATES["idle"]
    assert shown[Key("vehicles", 1)].colour == colours.VEHICLE_STATES["training"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"state": "no data: does not train"}, "no data"),
        ({"state": "a state of a later version"}, "idle"),
        ({"tip": "fork", "state": "mining"}, "forked"),
        ({"tip": "never heard of"}, "idle"),
    ],
)
def test_a_vehicle_has_the_colour_of_its_state(said: dict[str, Any], shown: str) -> None:
    view = fleet(3, bus="b3", van="b3", tram="b3")
    view.observe_block(block("fork", "b1", 2), 0.0)
    view.observe_status(status("car", **{"tip": "b3", "height": 3} | said), NOW)
    shape = vehicle_layer(view)[Key("vehicles", 3)]
    assert shape.colour == colours.VEHICLE_STATES[shown]


def test_one_who_is_behind_or_ahead_is_not_forked() -> None:
    view = fleet(3, bus="b2", van="b2", behind="b1", ahead="b3")
    texts = [shape.text for shape in vehicle_layer(view).values()]
    assert not any(text.startswith(("behind\nforked", "ahead\nforked")) for text in texts)


def test_a_vehicle_that_says_no_more_turns_silent() -> None:
    view = fleet(3, car="b3")
    view.observe_tip(ObservedTip("van", "a" * 40, 3, "b3"))
    later = vehicle_layer(view, NOW + SILENT_SECONDS + 0.1)
    assert later[Key("labels", 0)].text.startswith("car\nsilent")
    assert later[Key("labels", 1)].text == "van\nsilent"


def test_every_state_has_its_own_colour_and_all_are_explained() -> None:
    assert len(set(colours.VEHICLE_STATES.values())) == len(colours.VEHICLE_STATES)
    legend = {s.text: s.colour for k, s in vehicle_layer(fleet()).items() if k[0] == "legend"}
    assert legend == colours.VEHICLE_STATES


# A dichromat's eye, as Viénot, Brettel and Mollon (1999) simulate it: linear RGB, red and green
# cones merged one way or the other.
PROTAN = ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0))
DEUTAN = ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0))


@pytest.mark.parametrize("eye", [PROTAN, DEUTAN], ids=["protan", "deutan"])
@pytest.mark.parametrize(
    "meanings",
    [
        tuple(colours.VEHICLE_STATES.values()),
        (colours.RIGHT, colours.WRONG, colours.UNJUDGED),
        (colours.MODEL_BLOCK, colours.PLAIN_BLOCK, colours.FORKED_BLOCK),
    ],
    ids=["states", "predictions", "blocks"],
)
def test_colour_blind_eyes_tell_the_colours_apart(
    eye: tuple[tuple[float, ...], ...], meanings: tuple[Colour, ...]
) -> None:
    def seen(colour: Colour) -> list[float]:
        linear = [(channel / 255) ** 2.2 for channel in colour[:3]]
        mixed = (sum(w * v for w, v in zip(row, linear, strict=True)) for row in eye)
        return [255 * max(0.0, value) ** (1 / 2.2) for value in mixed]

    for one, other in combinations(meanings, 2):
        apart = sum((a - b) ** 2 for a, b in zip(seen(one), seen(other), strict=True)) ** 0.5
        assert apart > 25, (one, other)


def test_the_chain_is_a_row_with_the_rule_on_each_block() -> None:
    view = fleet(2, bus="b3", car="b3")
    view.observe_block(block("b3", "b2", 3, MODEL), 0.0)
    shown = chain_layer(view)
    cubes = [shown[Key("blocks", height)] for height in (1, 2, 3)]
    assert len({cube.position.y for cube in cubes}) == 1
    assert [cube.position.x for cube in cubes] == [8.0, 14.0, 20.0]
    assert cubes[2].colour == colours.MODEL_BLOCK != cubes[1].colour
    assert shown[Key("rules", 3)].text == "3\nmulti_krum\n75%\n2 here"
    assert shown[Key("rules", 2)].text == "2\n3 commits"
    assert len(shown[Key("links", 0)].points) == 4


def test_forks_are_seen_beside_the_chain_in_rows_of_their_own() -> None:
    view = fleet(4, bus="b4", car="x2")
    for each in (block("x2", "b1", 2), block("x3", "x2", 3), block("y3", "b2", 3)):
        view.observe_block(each, 0.0)
    lanes = view.history.lanes
    assert {name: lanes[name] for name in ("b2", "b3", "x2", "x3", "y3")} == {
        "b2": 0, "b3": 0, "x2": 1, "x3": 1, "y3": 2,
    }  # fmt: skip
    shown = chain_layer(view)
    forked = [shape for shape in shown.values() if shape.colour == colours.FORKED_BLOCK]
    assert len(forked) == 3
    assert all(shape.position.y < shown[Key("blocks", 1)].position.y for shape in forked)
    assert any(shape.text.endswith("1 here") for shape in shown.values())


def test_the_window_keeps_the_newest_blocks_and_bounds_the_forks() -> None:
    view = fleet(chain_scene.LENGTH + 10, bus=f"b{chain_scene.LENGTH + 10}")
    for n in range(10):
        view.observe_block(block(f"x{n}", "b20", 21), 0.0)
    cubes = [s for key, s in chain_layer(view).items() if key.namespace == "blocks"]
    heights = [key.number for key in chain_layer(view) if key.namespace == "blocks"]
    assert sorted(n for n in heights if n < 1 << 24) == list(range(11, chain_scene.LENGTH + 11))
    assert len(cubes) == chain_scene.LENGTH + chain_scene.MAX_LANES - 1
    assert any("6 more" in shape.text for shape in chain_layer(view).values())


def test_a_fleet_of_which_nothing_is_known_is_an_empty_chain() -> None:
    assert chain_layer(FleetView()) == {}


def test_a_message_flies_from_its_sender_to_all_others_and_fades() -> None:
    view = fleet(3, bus="b3", car="b3", van="b3")
    layout = lay_out(view.vehicles, {})
    view.observe_transaction("model_update", view.vehicles["bus"].address, NOW)
    [early], [late] = (list(flight_shapes(view, layout, NOW + age)) for age in (0.1, 0.9))
    assert len(early.points) == len(late.points) == 4
    home = layout.vehicles["bus"]

    def way(shape: Shape) -> float:
        return ((shape.points[0].x - home.x) ** 2 + (shape.points[0].y - home.y) ** 2) ** 0.5

    assert way(early) < way(late)
    assert 0 < late.colour.alpha < early.colour.alpha < 1
    assert early.colour.faded(0) == colours.FLIGHTS["model_update"].faded(0)
    assert list(flight_shapes(view, layout, NOW + 1.0)) == []


def test_no_more_messages_are_drawn_than_an_eye_can_follow() -> None:
    view = fleet(3, bus="b3", car="b3")
    for _ in range(50):
        view.observe_transaction("transfer", view.vehicles["bus"].address, NOW)
        view.observe_transaction("transfer", "f" * 40, NOW)  # nobody's that is on the map
    shapes = by_key(flight_shapes(view, lay_out(view.vehicles, {}), NOW))
    assert 0 < len(shapes) <= MAX_SHOWN


def test_vehicles_stand_where_they_say_and_else_on_a_ring() -> None:
    names = [f"vehicle_{n:02}" for n in range(30)]
    ring = lay_out(names, {}).vehicles
    for one, other in combinations(ring.values(), 2):
        assert (one.x - other.x) ** 2 + (one.y - other.y) ** 2 > 7**2
    assert min(pose.y for pose in ring.values()) > lay_out(names, {}).chain.y
    there = Pose(1000.0, 500.0, 1.0)
    mixed = lay_out(names, {"vehicle_03": there, "a stranger": Pose(0, 0, 0)})
    assert mixed.vehicles["vehicle_03"] == there
    assert set(mixed.vehicles) == set(names)
    assert mixed.chain.y < there.y
    assert abs(mixed.chain.x - there.x) < 50


@pytest.mark.parametrize("length", [1.0, 3.0], ids=["unit", "longer"])
def test_a_quaternion_of_any_length_is_a_heading(length: float) -> None:
    half = length * math.sqrt(0.5)
    pose = pose_of(1.0, 2.0, (0.0, 0.0, half, half))
    assert pose is not None
    assert (pose.x, pose.y) == (1.0, 2.0)
    assert pose.yaw == pytest.approx(math.pi / 2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_no_pose(bad: float) -> None:
    assert pose_of(bad, 0.0, (0.0, 0.0, 0.0, 1.0)) is None
    assert pose_of(0.0, 0.0, (0.0, 0.0, bad, bad)) is None


def test_only_what_changed_is_drawn_again() -> None:
    layer, view = Layer(), fleet(3, bus="b3", car="b3")
    first = layer.turn_into(vehicle_layer(view).values())
    assert first.anew
    assert not layer.turn_into(vehicle_layer(view).values())
    view.observe_status(status("car", "b3", 3, balance=140), NOW)
    second = layer.turn_into(vehicle_layer(view).values())
    assert not second.anew
    assert [shape.key for shape in second.drawn] == [Key("labels", 1)]
    layer.forget()
    assert layer.turn_into(vehicle_layer(view).values()).anew


def test_what_vanished_is_taken_away() -> None:
    layer = Layer()
    keep, lose = (Shape(Key("a", n), "cube", colours.WHITE, Point(1, 1, 1)) for n in (1, 2))
    layer.turn_into([keep, lose])
    changes = layer.turn_into([keep])
    assert (changes.drawn, changes.gone) == ((), (lose.key,))
