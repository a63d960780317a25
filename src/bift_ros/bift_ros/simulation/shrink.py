"""A seed that fails, reduced to the fewest vehicles, iterations and faults that still fail.

Every step is tried in one order, and a run depends on scenario and seed alone: so the same comes
out each time. The seed stays; with fewer vehicles it draws another run, which may fail or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from bift_ros.simulation.results import Result
from bift_ros.simulation.scenario import FAULTS, MINIMUM_VEHICLES, Scenario, ScenarioError

Run = Callable[[Scenario], Result]


def shrink(scenario: Scenario, run: Run, tell: Callable[[Scenario], None]) -> Scenario:
    """Give the smallest scenario found that breaks an invariant which `scenario` breaks too.

    `tell` hears of each smaller one. Gives `scenario` itself where nothing fails.
    """
    wanted = _broken(run(scenario))
    smallest, improved = scenario, bool(wanted)
    while improved:
        improved = False
        for step in _STEPS:
            found = _first_failing(step(smallest, run), run, wanted)
            while found is not None:
                smallest, improved = found, True
                tell(smallest)
                found = _first_failing(step(smallest, run), run, wanted)
    return smallest


def _broken(result: Result) -> set[str]:
    return {violation.invariant for violation in result.violations}


def _first_failing(tried: Iterator[Scenario], run: Run, wanted: set[str]) -> Scenario | None:
    return next((scenario for scenario in tried if _broken(run(scenario)) & wanted), None)


def _changed(scenario: Scenario, **changes: object) -> Iterator[Scenario]:
    """A changed scenario, where that makes sense."""
    try:
        yield replace(scenario, **changes)  # type: ignore[arg-type]
    except ScenarioError:
        return


def _fewer_iterations(scenario: Scenario, run: Run) -> Iterator[Scenario]:
    for iterations in _less(1, scenario.iterations):
        yield from _changed(scenario, iterations=iterations)


def _fewer_vehicles(scenario: Scenario, run: Run) -> Iterator[Scenario]:
    """With as large a share of Byzantine ones, at the most, and with one at least."""
    for vehicles in _less(MINIMUM_VEHICLES, scenario.vehicles):
        byzantine = -(-scenario.byzantine * vehicles // scenario.vehicles)
        for fewer in dict.fromkeys((byzantine, byzantine - 1)):
            yield from _changed(scenario, vehicles=vehicles, byzantine=fewer)


def _fewer_byzantine(scenario: Scenario, run: Run) -> Iterator[Scenario]:
    for byzantine in _less(1, scenario.byzantine):
        yield from _changed(scenario, byzantine=byzantine)


def _fewer_kinds(scenario: Scenario, run: Run) -> Iterator[Scenario]:
    for kind in FAULTS:
        if kind in scenario.faults:
            left = tuple(other for other in scenario.faults if other != kind)
            without = tuple(name for name in scenario.without if name.rstrip("0123456789") != kind)
            yield from _changed(scenario, faults=left, without=without)


def _fewer_behaviours(scenario: Scenario, run: Run) -> Iterator[Scenario]:
    """With one behaviour for all first."""
    kinds = scenario.behaviours or run(scenario).behaviours
    if scenario.byzantine_count and len(kinds) > 1:
        for kind in kinds:
            yield from _changed(scenario, behaviours=(kind,))


def _fewer_strikes(scenario: Scenario, run: Run) -> Iterator[Scenario]:
    """Without large parts of the single faults first, then without one of them."""
    strikes = run(scenario).strikes
    size = len(strikes)
    while size:
        for start in range(0, len(strikes), size):
            gone = strikes[start : start + size]
            yield from _changed(scenario, without=(*scenario.without, *gone))
        size //= 2


def _less(least: int, now: int) -> Iterator[int]:
    """Smaller numbers: the least, then each halfway nearer to what it is now."""
    if now > least:
        yield least
    while now - least > 1:
        least = (least + now) // 2
        yield least


_STEPS = (
    _fewer_iterations,
    _fewer_vehicles,
    _fewer_byzantine,
    _fewer_kinds,
    _fewer_behaviours,
    _fewer_strikes,
)
