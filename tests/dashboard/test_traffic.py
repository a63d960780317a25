"""Counters that only grow become what went through the network in a while."""

from __future__ import annotations

import pytest

from bift_ros.dashboard import traffic
from bift_ros.dashboard.traffic import Traffic
from bift_ros.monitoring.status import ResourceStatus, VehicleStatus
from bift_ros.monitoring.status_json import status_from_json
from bift_ros.monitoring.view import FleetView


def say(view: FleetView, name: str, fetched: int, served: int) -> None:
    resources = ResourceStatus(fetched_bytes=fetched, served_bytes=served)
    view.observe_status(VehicleStatus(name, name, resources=resources), 0.0)


def test_growth_is_summed_over_the_vehicles() -> None:
    view, made = FleetView(), Traffic()
    say(view, "one", 1000, 10)
    say(view, "two", 500, 0)
    made.sample(view, 1.0)
    assert made.taken == 0
    say(view, "one", 1200, 10)
    say(view, "two", 501, 5)
    made.sample(view, 3.0)
    (sample,) = made.newest(5)
    assert (sample.at, sample.seconds, sample.fetched, sample.served) == (3.0, 2.0, 201, 5)


def test_a_vehicle_that_begins_anew_counts_from_nothing_and_a_new_one_from_where_it_is() -> None:
    view, made = FleetView(), Traffic()
    say(view, "one", 1000, 1000)
    made.sample(view, 1.0)
    say(view, "one", 30, 1000)
    say(view, "two", 10**9, 0)
    made.sample(view, 2.0)
    assert made.newest(1)[0].fetched == 30


def test_messages_are_counted_by_kind_once() -> None:
    view, made = FleetView(), Traffic()
    view.observe_transaction("model_commit", "a", 0.5)
    made.sample(view, 1.0)
    view.observe_transaction("model_commit", "a", 1.5)
    view.observe_transaction("model_update", "a", 2.0)
    made.sample(view, 2.0)
    made.sample(view, 2.0)  # no time has passed
    made.sample(view, 3.0)
    assert [s.messages for s in made.newest(9)] == [{"model_commit": 1, "model_update": 1}, {}]


def test_the_oldest_samples_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "MAX_SAMPLES", 2)
    view, made = FleetView(), Traffic()
    for second in range(5):
        made.sample(view, float(second))
    assert made.taken == 4
    assert [s.at for s in made.newest(9)] == [3.0, 4.0]


def test_statuses_of_before_these_counters_are_no_traffic() -> None:
    view, made = FleetView(), Traffic()
    view.observe_status(status_from_json({"name": "old", "address": "a"}), 0.0)
    made.sample(view, 1.0)
    made.sample(view, 2.0)
    assert (made.newest(1)[0].fetched, made.newest(1)[0].served) == (0, 0)
