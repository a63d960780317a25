"""What an observer makes of a fleet's messages."""

from __future__ import annotations

import pytest

from bift_ros.history.blocks import BlockSummary
from bift_ros.monitoring import view
from bift_ros.monitoring.status import ChainStatus, VehicleStatus
from bift_ros.monitoring.view import FleetView, ObservedTip


def block(name: str, parent: str, height: int) -> BlockSummary:
    return BlockSummary(name, parent, height, "m" * 40, 1000 * height, {}, (), None)


def status(name: str, tip: str, height: int) -> VehicleStatus:
    return VehicleStatus(name, name * 4, chain=ChainStatus(height, tip))


FORKED = [block("a", "genesis", 1), block("b", "a", 2), block("c", "b", 3), block("x", "a", 2)]


def test_the_head_is_where_most_vehicles_stand() -> None:
    seen = FleetView()
    assert seen.head == ""
    for each in FORKED:
        seen.observe_block(each, 1.0)
    seen.observe_status(status("one", "c", 3), 1.0)
    seen.observe_status(status("two", "x", 2), 1.0)
    assert seen.head == "c"  # one each, and this is higher
    seen.observe_status(status("three", "x", 2), 2.0)
    assert seen.head == "x"
    assert [b.hash for b in seen.history.blocks] == ["a", "x"]


def test_a_tip_that_is_ahead_of_the_status_counts() -> None:
    seen = FleetView()
    assert seen.observe_tip(ObservedTip("one", "1", 1, "a"))
    assert seen.vehicles["one"].tip_hash == "a"
    seen.observe_status(status("one", "b", 2), 1.0)
    assert seen.vehicles["one"].tip_hash == "b"
    assert not seen.observe_tip(ObservedTip("one", "1", 3, "c"))
    assert seen.vehicles["one"].tip_hash == "c"


def test_a_reader_gets_what_is_new() -> None:
    seen = FleetView()
    seen.observe_status(status("one", "a", 1), 1.0)
    seen.observe_status(status("two", "a", 1), 1.0)
    before = seen.revision
    seen.observe_status(status("two", "b", 2), 1.0)
    assert [v.name for v in seen.changed_since(before)] == ["two"]


def test_losses_are_the_vehicles_mean_after_their_last_epochs() -> None:
    seen = FleetView()
    seen.observe_loss("one", "lights", 1, 5.0)
    seen.observe_loss("one", "lights", 1, 2.0)
    seen.observe_loss("two", "lights", 1, 1.0)
    seen.observe_loss("two", "other", 7, 9.0)
    assert seen.mean_losses("lights") == {1: 1.5}


def test_no_more_vehicles_are_taken_in_than_a_fleet_can_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view, "MAX_VEHICLES", 1)
    seen = FleetView()
    seen.observe_status(status("one", "a", 1), 1.0)
    assert not seen.observe_tip(ObservedTip("two", "2", 1, "a"))
    assert list(seen.vehicles) == ["one"]
