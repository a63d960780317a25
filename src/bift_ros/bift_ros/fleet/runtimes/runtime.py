"""What a fleet's vehicles run in. `runs.fleet` does with any of these what a person asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.monitoring.status import Statuses


class FleetError(Exception):
    """A fleet that cannot do what was asked; says why and what to do."""


class Monitor(Protocol):
    """Hears the vehicles."""

    @property
    def vehicles(self) -> Statuses:
        """The newest status of each vehicle by name; None until it has spoken."""

    def wait(self, condition: Callable[[Statuses], bool], timeout: float) -> bool:
        """Wait until the statuses fulfil a condition; False after `timeout` seconds."""


class Runtime(Protocol):
    """One way to run a fleet. Made anew by every command, it finds its vehicles by its folder."""

    def check(self, fleet: FleetDescription) -> None:
        """See whether it could run such a fleet here; nothing is made. Raises FleetError."""

    def up(
        self,
        fleet: FleetDescription,
        bags: Sequence[Path | None],
        started: Callable[[str], None],
    ) -> None:
        """Start every vehicle, with `bags` to replay; `started` is told each one's name.

        What an earlier fleet of the same folder has kept is resumed. Returns once all run, though
        they may not have spoken yet. Raises FleetError; what it has started until then is left to
        `down`.
        """

    def monitor(self) -> AbstractContextManager[Monitor]:
        """Listen to the vehicles that `up` started, each of which it watches from the first."""

    def running(self) -> Collection[str]:
        """The names of the vehicles that run, spoken or not."""

    def logs(self, vehicles: Sequence[str], follow: bool) -> Iterator[tuple[str, str]]:
        """Vehicles' names and lines of their logs; `follow`: new ones too, while any runs."""

    def data(self, vehicle: str) -> AbstractContextManager[Path]:
        """The data folder of a vehicle, or a copy of it; to be read only. Raises FleetError."""

    def kill(self, vehicles: Sequence[str]) -> None:
        """End vehicles at once, as a power cut would, and wait for it."""

    def restart(self, vehicles: Sequence[str]) -> None:
        """Start vehicles that were killed; only where `up` was called before."""

    def disconnect(self, vehicles: Sequence[str]) -> None:
        """Cut vehicles off from all others. Raises FleetError where the network can't be cut."""

    def connect(self) -> None:
        """Undo that."""

    def down(self, keep_data: bool) -> None:
        """End all that `up` started and no more, and wait for it.

        What lies in the fleet's folder is the caller's to remove; without `keep_data` this removes
        what lies elsewhere.
        """
