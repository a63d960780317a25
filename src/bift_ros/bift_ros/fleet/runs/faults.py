"""What befalls a fleet while it learns; the plain `Fault`: nothing."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console

from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.monitoring.status import Statuses, VehicleStatus


@dataclass(frozen=True)
class Event:
    """Something that a fault did or saw."""

    seconds: float
    """Since it began."""
    text: str


class Fault:
    """An undisturbed fleet. Others override what differs."""

    name = "none"
    victims: tuple[str, ...] = ()
    """All whom it befalls."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._began = time.monotonic()
        self.events: list[Event] = []
        self.problems: list[str] = []
        """What went wrong though the fleet may have agreed in the end."""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen, so that the run may end with the task."""
        return True

    @property
    def down(self) -> Collection[str]:
        """The vehicles that it has ended, and not started again yet."""
        return ()

    def step(self, fleet: Fleet, statuses: Statuses) -> None:
        """Do what is due, by what the vehicles say of themselves; called all the time."""

    def note(self, text: str) -> None:
        """Record an event and show it."""
        event = Event(round(time.monotonic() - self._began, 1), text)
        self.events.append(event)
        if self._console is not None:
            self._console.print(f"[{event.seconds:6.1f} s] {text}", markup=False, highlight=False)


def iteration_of(statuses: Iterable[VehicleStatus | None]) -> int:
    """The most iterations that any of these vehicles has reported."""
    return max((status.task.current_iter for status in statuses if status), default=0)


def on_one_tip(statuses: Statuses) -> bool:
    """Whether all speak, and all of the same block."""
    tips = {status.chain.tip if status else None for status in statuses.values()}
    return len(tips) == 1 and None not in tips


def draw_victims(vehicles: Sequence[str], number: int, seed: int) -> tuple[str, ...]:
    """So many vehicles, at random but the same for a seed."""
    return tuple(sorted(random.Random(seed).sample(list(vehicles), number)))
