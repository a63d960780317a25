"""What a fleet's statuses and chain say of its health: each level, and when it begins and ends."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bift_ros.history.blocks import BlockSummary, ModelSummary, UpdateSummary
from bift_ros.monitoring.findings import FLEET, Finding, Level, Thresholds
from bift_ros.monitoring.health import HealthMonitor
from bift_ros.monitoring.status_json import status_from_json
from bift_ros.monitoring.vehicle_checks import CHECKS
from bift_ros.monitoring.view import FleetView

LIMITS = Thresholds()
HEALTHY: dict[str, Any] = {
    "state": "idle",
    "frames_seen": 100,
    "samples": 30,
    "skipped": 1,
    "class_samples": [10, 0, 20] + [0] * 7,
    "epoch": 2,
    "local_epochs": 2,
    "loss": 0.5,
    "height": 2,
    "tip": "b",
    "model_id": "lights",
    "current_iter": 1,
    "total_iter": 3,
    "balance": 20,
    "mempool": 0,
    "peers": 2,
    "refused": 0,
    "last_refusal": "",
    "equivocations": [],
    "training_seconds": 1.0,
    "storage_seconds": 0.1,
    "rss_mb": 200,
    "peak_rss_mb": 300,
    "gpu_mb": 0,
    "gpu_limit_mb": 0,
    "disk_free_mb": 100_000,
    "fetched_bytes": 0,
    "served_bytes": 0,
}


def block(name: str, parent: str, height: int, accuracy: float | None = None) -> BlockSummary:
    updates = tuple(UpdateSummary(a * 4, 0.5, 10) for a in ("one", "two", "bad"))
    model = None
    if accuracy is not None:
        contributors = ("oneoneoneone", "twotwotwotwo")
        model = ModelSummary("lights", height, 3, f"{height}", "krum", accuracy, contributors)
    return BlockSummary(name, parent, height, "m" * 40, 1000 * height, {}, updates, model)


class Fleet:
    """Three vehicles that speak twice a second, and a health monitor that looks once a second."""

    def __init__(self) -> None:
        self.view = FleetView()
        for each in (block("a", "genesis", 1), block("b", "a", 2, 0.5), block("x", "a", 2)):
            self.view.add_block(each)
        self.health = HealthMonitor(self.view, LIMITS)
        self.now = 100.0
        for name in ("one", "two", "three"):
            self.say(name)

    def say(self, name: str, **changes: Any) -> None:
        said = {**HEALTHY, "name": name, "address": name * 4, **changes}
        self.view.observe_status(status_from_json(said), self.now)

    def later(self, seconds: float) -> None:
        """All go on saying what they said last, while the monitor looks."""
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            for vehicle in list(self.view.vehicles.values()):
                assert vehicle.status is not None
                self.view.observe_status(vehicle.status, self.now)
            self.health.check(self.now)

    def finding(self, subject: str, part: str) -> Finding:
        (found,) = [
            f for f in self.health.check(self.now) if (f.subject, f.part) == (subject, part)
        ]
        return found


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_all_is_well(fleet: Fleet) -> None:
    findings = fleet.health.check(fleet.now)
    assert {f.level for f in findings} == {Level.OK}
    assert [(f.subject, f.part) for f in findings] == [
        (FLEET, "consensus"),
        (FLEET, "learning"),
        *((name, part) for name in ("one", "three", "two") for part in CHECKS),
    ]
    assert fleet.finding(FLEET, "consensus").message == "3 of 3 vehicles agree"
    assert fleet.finding("one", "dataset").values["green_circle"] == "20"
    assert fleet.finding(FLEET, "learning").values["refused"] == "badbadbadbad"


def test_who_is_silent_is_stale_and_then_is_not(fleet: Fleet) -> None:
    fleet.now += LIMITS.stale_seconds + 1
    fleet.say("one")
    fleet.say("two")
    found = fleet.finding("three", "training")
    assert (found.level, found.message) == (Level.STALE, "not heard for 11 s")
    assert fleet.finding("one", "training").level == Level.OK
    assert fleet.finding(FLEET, "consensus").values["heard"] == "2"
    fleet.say("three")
    assert fleet.finding("three", "training").level == Level.OK
    fleet.now += LIMITS.stale_seconds + 1
    assert fleet.finding(FLEET, "consensus").level == Level.STALE


def test_a_fork_is_reported_once_it_lasts(fleet: Fleet) -> None:
    fleet.say("two", tip="x")
    fleet.later(LIMITS.forked_seconds)
    assert fleet.finding("two", "consensus").level == Level.OK
    fleet.later(2)
    assert fleet.finding("two", "consensus").level == Level.ERROR
    assert "forked" in fleet.finding("two", "consensus").message
    assert fleet.finding(FLEET, "consensus").message == "2 of 3 vehicles agree"
    fleet.say("two")
    assert fleet.finding("two", "consensus").level == Level.OK


def test_who_is_behind_is_told_from_who_is_ahead(fleet: Fleet) -> None:
    fleet.view.add_block(block("c", "b", 3))
    fleet.say("one", tip="a", height=1)
    fleet.say("two", tip="c", height=3)
    fleet.say("three", tip="b", height=2)
    fleet.say("four", tip="b", height=2)
    fleet.later(LIMITS.forked_seconds + 2)
    found = fleet.finding("one", "consensus")
    assert (found.level, found.message[:18]) == (Level.WARN, "behind by 1 blocks")
    assert fleet.finding("two", "consensus").level == Level.OK


def test_a_tip_that_nobody_has_shown_says_nothing(fleet: Fleet) -> None:
    fleet.say("two", tip="unheard of", height=2)
    fleet.later(LIMITS.forked_seconds + 5)
    assert fleet.finding("two", "consensus").level == Level.OK


def test_a_refusal_is_told_for_a_while(fleet: Fleet) -> None:
    fleet.say("one", refused=7, last_refusal="old")  # from before the monitor began: no news
    fleet.health = HealthMonitor(fleet.view, LIMITS)
    assert fleet.finding("one", "consensus").level == Level.OK
    fleet.say("one", refused=8, last_refusal="block from mallory: no work")
    found = fleet.finding("one", "consensus")
    assert (found.level, found.message) == (Level.WARN, "refused block from mallory: no work")
    fleet.later(LIMITS.recent_seconds + 1)
    assert fleet.finding("one", "consensus").level == Level.OK


def test_a_training_that_fails_is_an_error_of_the_training(fleet: Fleet) -> None:
    assert fleet.finding("one", "training").level == Level.OK
    fleet.say("one", refused=1, last_refusal="training from one: training diverged in epoch 1")
    assert fleet.finding("one", "training").level == Level.ERROR
    assert fleet.finding("one", "consensus").level == Level.OK


def test_what_can_not_be_kept_is_an_error_of_the_storage(fleet: Fleet) -> None:
    assert fleet.finding("one", "storage").level == Level.OK
    fleet.say("one", refused=1, last_refusal="store from one: block 7 can't be kept: disk full")
    found = fleet.finding("one", "storage")
    assert (found.level, "disk full" in found.message) == (Level.ERROR, True)
    assert fleet.finding("one", "consensus").level == Level.OK
    fleet.later(LIMITS.recent_seconds + 1)
    assert fleet.finding("one", "storage").level == Level.OK


@pytest.mark.parametrize(
    ("loss", "level"), [(1.4, Level.OK), (1.6, Level.WARN), (math.nan, Level.ERROR)]
)
def test_a_loss_that_grows_is_diverging(fleet: Fleet, loss: float, level: Level) -> None:
    fleet.finding("one", "training")
    fleet.say("one", epoch=1, loss=99.0)  # not the end of a training
    assert fleet.finding("one", "training").level == Level.OK
    fleet.say("one", loss=loss)
    assert fleet.finding("one", "training").level == level
    fleet.say("one", loss=loss, model_id="another")  # a new task begins anew
    assert fleet.finding("one", "training").level == Level.OK


def test_an_accuracy_that_falls_below_the_best_is_diverging(fleet: Fleet) -> None:
    for name, parent, height, accuracy in (("c", "b", 3, 0.9), ("d", "c", 4, 0.7)):
        fleet.view.add_block(block(name, parent, height, accuracy))
        for vehicle in ("one", "two", "three"):
            fleet.say(vehicle, tip=name, height=height)
        level = fleet.finding(FLEET, "learning").level
        assert level == (Level.WARN if accuracy == 0.7 else Level.OK)
    assert fleet.finding(FLEET, "learning").values["best accuracy"] == "0.9000"


@pytest.mark.parametrize(
    ("part", "changes", "level", "said"),
    [
        ("storage", {"disk_free_mb": 2047}, Level.WARN, "disk low: 2047 MiB left"),
        ("storage", {"disk_free_mb": 204}, Level.ERROR, "disk full: 204 MiB left"),
        ("memory", {"gpu_mb": 899, "gpu_limit_mb": 1000}, Level.OK, "899 of 1000 MiB"),
        ("memory", {"gpu_mb": 901, "gpu_limit_mb": 1000}, Level.WARN, "near its limit: 901"),
        ("dataset", {"samples": 0, "class_samples": [0] * 10}, Level.WARN, "no samples"),
        ("dataset", {"class_samples": [30] + [0] * 9}, Level.WARN, "30 samples show red_circle"),
    ],
)
def test_what_runs_short(
    fleet: Fleet, part: str, changes: dict[str, Any], level: Level, said: str
) -> None:
    fleet.say("one", **changes)
    found = fleet.finding("one", part)
    assert found.level == level
    assert said in found.message


def test_a_cheat_is_told_of_the_fleet(fleet: Fleet) -> None:
    fleet.say("one", equivocations=["three signed two blocks at height 2 on a"])
    found = fleet.finding(FLEET, "consensus")
    assert (found.level, "three signed two blocks" in found.message) == (Level.WARN, True)


def test_nobody_is_heard_at_first() -> None:
    findings = HealthMonitor(FleetView(), LIMITS).check(1.0)
    assert [f.message for f in findings] == ["0 of 0 vehicles agree", "no global model yet"]
