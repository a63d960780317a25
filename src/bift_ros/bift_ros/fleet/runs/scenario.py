"""Where a fleet runs and what befalls it meanwhile; the plain one: this host, and nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from bift_ros.fleet.runtimes.domain import local_ros_environment
from bift_ros.fleet.runtimes.processes import ProcessFleet
from bift_ros.monitoring.status import Statuses
from bift_ros.nodes.observer.monitor import FleetMonitor


@dataclass(frozen=True)
class Event:
    """Something that a scenario did or saw."""

    seconds: float
    """Since the scenario began."""
    text: str


class Scenario:
    """An undisturbed fleet on the loopback of this host. Others override what differs."""

    policy: Mapping[str, Any] = {}
    """What the genesis policy has instead of the demo's values."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._began = time.monotonic()
        self.events: list[Event] = []
        self.problems: list[str] = []
        """What went wrong though the fleet may have agreed in the end."""

    @contextmanager
    def surroundings(self, names: Sequence[str]) -> Iterator[Mapping[str, str]]:
        """Prepare the place for vehicles of these names; the environment variables they need.

        What the context creates in this process listens there, too.
        """
        self._began = time.monotonic()
        with local_ros_environment() as environment, set_environment(environment):
            yield environment

    def vehicle_settings(self, name: str) -> Mapping[str, Any]:
        """ROS parameters of one vehicle that this place asks for."""
        return {}

    @property
    def namespaces(self) -> Mapping[str, int]:
        """Open network namespaces of the vehicles that have their own."""
        return {}

    def step(self, fleet: ProcessFleet, monitor: FleetMonitor) -> None:
        """Do what is due; called several times a second while the fleet runs."""

    @property
    def over(self) -> bool:
        """Whether nothing more will happen, so that the run may end with the task."""
        return True

    def note(self, text: str) -> None:
        """Record an event and show it."""
        event = Event(round(time.monotonic() - self._began, 1), text)
        self.events.append(event)
        if self._console is not None:
            self._console.print(f"[{event.seconds:6.1f} s] {text}", markup=False, highlight=False)


def iteration_of(vehicles: Statuses) -> int:
    """The most iterations that any vehicle has reported."""
    return max((s.task.current_iter for s in vehicles.values() if s), default=0)


@contextmanager
def set_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables of this process, and set them back."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
