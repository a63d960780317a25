"""A fleet some of whose vehicles attack its learning (`bift demo --malicious`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bift_ros.fleet.runs.scenario import Scenario


class AttackersError(Exception):
    """So many attackers leave no fleet to attack."""


class Attackers(Scenario):
    """The last vehicles of the fleet are malicious; the first, which proposes the task, is not."""

    def __init__(self, attack: str, count: int) -> None:
        super().__init__()
        self._attack, self._count = attack, count
        self._names: tuple[str, ...] = ()

    @contextmanager
    def surroundings(self, names: Sequence[str]) -> Iterator[Mapping[str, str]]:
        """As for any fleet. Raises AttackersError where no honest vehicle would be left."""
        if self._count >= len(names):
            raise AttackersError(
                f"{self._count} attackers in a fleet of {len(names)}: leave an honest vehicle"
            )
        self._names = tuple(names[-self._count :])
        with super().surroundings(names) as environment:
            yield environment

    def vehicle_settings(self, name: str) -> Mapping[str, Any]:
        """The attack, for those who carry it out."""
        return {"malicious": self._attack} if name in self._names else {}
