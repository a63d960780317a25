"""Members that withhold or are late cost a fleet of six little, and may come back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bift_ros.consensus.attendance import PATIENCE, absentees
from bift_ros.consensus.payloads import Learning, ModelCommit, ModelUpdate
from bift_ros.peer import events
from bift_ros.peer.config import PeerConfig
from world.fleet import DELAY_MS, Fleet, Vehicle

SIZE, WAIT_MS = 6, 30_000
SETTLED, MEASURED = 5, 20
"""The cost counts after so many iterations, over so many."""

Lost = Callable[[Vehicle, events.Event], bool]
"""Whether what a vehicle sends is lost."""


def says(event: events.Event, kind: type[Learning]) -> bool:
    said = event.transaction.payload if isinstance(event, events.TransactionReceived) else None
    return isinstance(said, kind)


def keeps_its_files(sender: Vehicle, event: events.Event) -> bool:
    return sender.number == 5 and isinstance(event, events.Tick)


def never_reveals(sender: Vehicle, event: events.Event) -> bool:
    return sender.number == 5 and says(event, ModelUpdate)


def never_commits(sender: Vehicle, event: events.Event) -> bool:
    return sender.number == 5 and says(event, ModelCommit)


def misses_every_second(sender: Vehicle, event: events.Event) -> bool:
    odd = sender.fleet.iterations(sender) % 2 == 1
    return odd and sender.number == 5 and says(event, ModelCommit)


def two_miss_in_turn(sender: Vehicle, event: events.Event) -> bool:
    absent = 4 + sender.fleet.iterations(sender) % 2
    return sender.number == absent and says(event, ModelCommit)


def two_keep_files_and_reveals(sender: Vehicle, event: events.Event) -> bool:
    if sender.number == 4:
        return says(event, ModelUpdate)
    return keeps_its_files(sender, event)


def fleet_of_six(lost: Lost) -> Fleet:
    """The last two do not mine: their blocks would have what they withhold from others."""
    idle = PeerConfig(mine=False)
    fleet = Fleet(
        SIZE, configs={4: idle, 5: idle}, mode="bift", update_wait_ms=WAIT_MS, minimum_updates=4
    )
    fleet.link = lambda sender, receiver, event: None if lost(sender, event) else DELAY_MS
    fleet.propose(total_iter=1_000)
    return fleet


def milliseconds(lost: Lost) -> float:
    """How long an iteration takes, once some are over."""
    fleet = fleet_of_six(lost)
    fleet.run_until(lambda: fleet.iterations(fleet[0]) >= SETTLED, SETTLED * 120_000)
    begun = fleet.now
    until = SETTLED + MEASURED
    fleet.run_until(lambda: fleet.iterations(fleet[0]) >= until, MEASURED * 120_000)
    return (fleet.now - begun) / MEASURED


@pytest.fixture(scope="module")
def peace() -> float:
    return milliseconds(lambda sender, event: False)


@pytest.mark.parametrize(
    "lost",
    [
        keeps_its_files,
        never_reveals,
        never_commits,
        misses_every_second,
        two_miss_in_turn,
        two_keep_files_and_reveals,
    ],
)
def test_whoever_is_absent_costs_less_than_a_fifth(lost: Lost, peace: float) -> None:
    assert milliseconds(lost) < 1.2 * peace


def test_who_comes_back_contributes_at_once() -> None:
    away = True
    fleet = fleet_of_six(lambda sender, event: away and never_commits(sender, event))
    fleet.run_until(lambda: fleet.iterations(fleet[0]) >= 6, 6 * 120_000)
    five = fleet[5].address
    assert absentees(fleet[0].state) == {five}
    away = False
    since = fleet.iterations(fleet[0]) + 1
    contributed: set[int] = set()
    while fleet.iterations(fleet[0]) < since + 10:
        fleet.run(250)
        task = fleet[0].state.task
        assert task is not None
        assert task.last is not None
        if five in task.last.contributors:
            contributed.add(task.last.iteration)
    assert len(contributed) >= 5  # the rule does not select everybody each time


def test_patience_comes_back() -> None:
    fleet = fleet_of_six(never_commits)
    fleet.run_until(lambda: fleet.iterations(fleet[0]) >= PATIENCE, PATIENCE * 20_000)
    assert absentees(fleet[0].state)
    fleet.run_until(lambda: not absentees(fleet[0].state), 60_000)
