"""Whole runs: they complete, hold the invariants, and are the same each time."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from bift_ros.consensus.genesis import RULE_OF_MODE
from bift_ros.pofl.aggregate import RULES
from bift_ros.simulation.campaign import run_seeds, summary
from bift_ros.simulation.fleet import Fleet
from bift_ros.simulation.history import History
from bift_ros.simulation.run import simulate
from bift_ros.simulation.scenario import FAULTS, Scenario, ScenarioError
from bift_ros.simulation.world import INITIAL_MODEL
from bift_ros.storage.cid import cid_of

SMALL = Scenario(8, 2, 2)
FINGERPRINT = (
    "from bift_ros.simulation.run import simulate\n"
    "from bift_ros.simulation.scenario import Scenario\n"
    "print(simulate(Scenario(8, 2, 2), 5).fingerprint)"
)


def test_a_fleet_without_faults_finishes():
    result = simulate(Scenario(6, 0, 3, faults=()), 1)
    assert result.completed
    assert not result.violations
    assert result.pofl_recomputed == 3


def test_the_rule_is_drawn_from_the_seed_and_the_default_is_among_them():
    scenario = Scenario(4, 0, 1, faults=())
    initial = cid_of(INITIAL_MODEL)
    drawn = [Fleet(scenario, seed, History()).proposal(initial).rule for seed in range(100)]
    assert set(drawn) == set(RULES)
    default = RULE_OF_MODE["bift"]
    lines: list[str] = []
    assert simulate(scenario, drawn.index(default), History(lines.append)).completed
    assert any(f"iteration 1 by {default}" in line for line in lines)


@pytest.mark.parametrize("rule", RULES)
def test_a_fleet_finishes_under_each_rule(rule):
    scenario = Scenario(8, 2, 3)
    seed = next(
        seed
        for seed in range(1_000)
        if random.Random(f"{seed} rule").choice(scenario.rules) == rule
    )
    result = simulate(scenario, seed)
    assert result.completed
    assert not result.violations


def test_paper_mode_finishes_too():
    result = simulate(Scenario(6, 0, 2, faults=(), mode="paper"), 1)
    assert result.completed
    assert not result.violations


@pytest.mark.parametrize("seed", range(4))
def test_a_fleet_that_encrypts_its_models_finishes_too(seed):
    result = simulate(Scenario(8, 2, 2, encrypt=True), seed)
    assert result.completed
    assert not result.violations


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "byzantine"])
def test_a_fleet_finishes_under_each_fault(fault):
    result = simulate(Scenario(6, 0, 2, faults=(fault,)), 2)
    assert result.completed
    assert not result.violations


def test_one_seed_gives_one_run_and_another_gives_another():
    first, again, other = (simulate(SMALL, seed).fingerprint for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_a_run_is_the_same_in_another_process_whatever_the_hash_seed():
    printed = subprocess.run(
        [sys.executable, "-c", FINGERPRINT],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed.strip() == simulate(SMALL, 5).fingerprint


def test_a_replay_tells_what_happened_and_changes_nothing():
    lines: list[str] = []
    told = simulate(SMALL, 5, History(lines.append))
    assert told.fingerprint == simulate(SMALL, 5).fingerprint
    text = "\n".join(lines)
    for word in ("mines block", "follows block", "the faults end", "the radio delays"):
        assert word in text


def test_the_summary_counts_runs_and_lists_failing_seeds():
    scenario = Scenario(6, 0, 1, faults=())
    results = list(run_seeds(scenario, [1, 2], processes=2))
    report = summary(scenario, results, 1.5)
    assert (report["seeds"], report["completed"], report["violations"]) == (2, 2, 0)
    assert report["failing_seeds"] == []
    assert report["per_vehicle"]["pofl_recomputed"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"faults": ("rain",)}, "no such fault: rain"),
        ({"vehicles": 3, "byzantine": 0}, "use 4 to 1000"),
        ({"vehicles": 10, "byzantine": 5}, "at most 4"),
        ({"iterations": 0}, "at least 1"),
        ({"mode": "fast"}, "bift or paper"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ScenarioError, match=message):
        Scenario(**arguments)


def test_an_unknown_behaviour_is_refused():
    with pytest.raises(ScenarioError, match="no such behaviour: politician"):
        simulate(Scenario(6, 1, 1, behaviours=("politician",)), 1)


@pytest.mark.parametrize("seed", [0, 45, 66, 92])
def test_a_fleet_lives_through_members_that_come_and_go(seed):
    result = simulate(Scenario(8, 2, 3), seed)
    assert result.completed
    assert not result.violations


@pytest.mark.parametrize("seed", [6, 14, 99])
def test_a_fleet_lives_through_clocks_that_are_set(seed):
    result = simulate(Scenario(8, 2, 3), seed)
    assert result.completed
    assert not result.violations


@pytest.mark.parametrize("seed", [17, 57])
def test_a_fleet_lives_through_trainings_that_fail(seed):
    result = simulate(Scenario(8, 2, 3), seed)
    assert result.completed
    assert not result.violations
