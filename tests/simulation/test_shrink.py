"""A failing seed is reduced to the least that still fails, and the same each time."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from bift_ros.console import simulate as command
from bift_ros.console.arguments import Parser
from bift_ros.simulation.results import Result
from bift_ros.simulation.run import simulate
from bift_ros.simulation.scenario import Scenario
from bift_ros.simulation.shrink import shrink
from bift_ros.simulation.vehicle import Vehicle

SCENARIO = Scenario(6, 1, 3, ("delay", "crash", "skew", "training", "byzantine"))
SEED = 5


@pytest.fixture(autouse=True)
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vehicle that starts again takes nothing in."""
    boot = Vehicle.boot

    def start(self: Vehicle) -> None:
        if hasattr(self, "peer"):
            self.take = lambda event: None  # type: ignore[method-assign]
        boot(self)

    monkeypatch.setattr(Vehicle, "boot", start)


def run(scenario: Scenario) -> Result:
    return simulate(scenario, SEED)


def test_what_a_failure_does_not_need_goes() -> None:
    told: list[Scenario] = []
    smallest = shrink(SCENARIO, run, told.append)
    assert told[-1] == smallest
    result = run(smallest)
    assert {violation.invariant for violation in result.violations} == {"liveness"}
    assert smallest.vehicles < SCENARIO.vehicles
    assert smallest.byzantine_count == 0
    assert smallest.iterations < SCENARIO.iterations
    assert smallest.faults == ("crash",)
    assert len(result.strikes) == 1


def test_a_seed_that_does_not_fail_stays() -> None:
    sound = replace(SCENARIO, faults=("skew", "delay"))
    assert shrink(sound, run, lambda smaller: None) is sound


def test_the_command_repeats_the_run() -> None:
    scenario = replace(SCENARIO, without=("crash1", "disk0"), behaviours=("flooder",), minimum=3)
    _, name, *rest = shlex.split(scenario.command(SEED))
    assert name == "simulate"
    parser = Parser()
    command.add_arguments(parser)
    arguments = parser.parse_args(rest)
    assert arguments.replay == SEED
    assert command._scenario(arguments, arguments.vehicles) == scenario


def test_the_command_line_reduces_it_to_the_same_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parser = Parser()
    command.add_arguments(parser)
    words = SCENARIO.command(SEED).replace("--replay", "--shrink")
    assert command.main(parser.parse_args(shlex.split(words)[2:])) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == shrink(SCENARIO, run, lambda smaller: None).command(SEED)
