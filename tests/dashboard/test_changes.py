"""A reader of the fleet's picture is told everything once."""

from __future__ import annotations

import json
import math

import pytest
from synthetic_fleet import NOW, SyntheticFleet

from bift_ros.dashboard.changes import Position, delta
from bift_ros.dashboard.documents import document
from bift_ros.dashboard.sampling import Sampler
from bift_ros.history import tree
from bift_ros.history.chain import Relation
from bift_ros.monitoring.status_json import plain
from bift_ros.monitoring.view import FleetView


def test_the_first_news_are_everything() -> None:
    fleet = SyntheticFleet(vehicles=4, blocks=9)
    told = delta(fleet.view, Sampler(), Position())
    assert [v.name for v in told.vehicles] == fleet.names
    assert [b.hash for b in told.blocks] == list(fleet.view.chain.blocks)
    assert told.head == fleet.view.head
    assert list(told.losses) == ["traffic-lights"]


def test_then_only_what_has_changed_is_told() -> None:
    fleet = SyntheticFleet(vehicles=4, blocks=9)
    first = delta(fleet.view, Sampler(), Position())
    assert delta(fleet.view, Sampler(), first.position).position == first.position
    fleet.say(2, state="idle")
    second = delta(fleet.view, Sampler(), first.position)
    assert [v.name for v in second.vehicles] == ["vehicle_02"]
    assert second.blocks == ()
    before = set(fleet.view.chain.blocks)
    fleet.iterate()
    third = delta(fleet.view, Sampler(), second.position)
    assert {b.hash for b in third.blocks} == set(fleet.view.chain.blocks) - before


def test_nothing_is_known_of_a_fleet_that_was_not_heard() -> None:
    assert delta(FleetView(), Sampler(), Position()).position == Position()


def test_what_a_page_gets_is_json_whatever_a_vehicle_says() -> None:
    fleet = SyntheticFleet(vehicles=4, blocks=9)
    fleet.say(1, loss=math.inf)
    told = delta(fleet.view, Sampler(), Position())
    sent = json.loads(json.dumps(document(told, True, NOW), allow_nan=False))
    statuses = {v["name"]: v["status"] for v in sent["vehicles"]}
    assert statuses["vehicle_01"]["loss"] is None
    assert statuses["vehicle_03"]["loss"] is None  # NaN: it has not trained yet
    newest = next(b for b in reversed(sent["blocks"]) if b["model"])
    assert set(newest["model"]["contributors"]) <= {sender for sender, _, _ in newest["updates"]}


def test_arrays_become_lists() -> None:
    import array

    import numpy as np

    assert plain({"bytes": b"\x01", "set": {3}}) == {"bytes": "01", "set": [3]}
    assert plain(array.array("I", [1, 2])) == [1, 2]
    assert plain(np.array([[1.5, np.nan]])) == [[1.5, None]]


def test_the_chain_is_told_as_the_page_draws_it_and_then_what_is_another() -> None:
    fleet = SyntheticFleet(vehicles=12, blocks=9)
    first = delta(fleet.view, Sampler(), Position())
    chain = fleet.view.history
    assert first.lanes == chain.lanes
    assert list(first.iterations.values()) == list(chain.iterations)
    assert first.relations["vehicle_00"] == Relation.SAME
    fleet.iterate()
    second = delta(fleet.view, Sampler(), first.position)
    assert second.relations == {}  # nobody has moved on, and the head is where most stand
    fleet.speak()
    third = delta(fleet.view, Sampler(), second.position)
    newest = fleet.view.history.blocks[-2:]
    assert set(second.lanes.items()) | set(third.lanes.items()) >= {(b.hash, 0) for b in newest}
    assert list(third.iterations) == [newest[-1].hash]


def test_what_the_bound_pushes_out_is_told_and_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tree, "MAX_BLOCKS", 12)
    fleet = SyntheticFleet(vehicles=3, blocks=13)
    first = delta(fleet.view, Sampler(), Position())
    oldest = fleet.view.history.iterations[0].block.hash
    fleet.iterate()
    fleet.speak()
    second = delta(fleet.view, Sampler(), first.position)
    assert second.iterations.pop(oldest) is None
    assert len(second.iterations) <= 2
