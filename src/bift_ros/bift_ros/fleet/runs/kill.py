"""Vehicles die and come back: no accepted block may be lost."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from rich.console import Console

from bift_ros.chain.exceptions import StoreError
from bift_ros.consensus.genesis import load_genesis
from bift_ros.fleet.runs.faults import Fault, iteration_of
from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runs.reading import look
from bift_ros.monitoring.status import Statuses, VehicleStatus

_FIRST_SECONDS = 8.0
"""Stands for an iteration's length before there was one."""
_DOWN_SECONDS = (0.5, 6.0)


@dataclass(frozen=True)
class Kill:
    """A death to come, of one vehicle or of several at once."""

    iteration: int
    """The fleet has finished so many iterations by then."""
    victims: tuple[str, ...]
    delay: float
    """How far into the next iteration, as a share of the last one's length."""
    down_seconds: float
    """From their death to their restart."""


def schedule(seed: int, vehicles: Sequence[str], iterations: int) -> tuple[Kill, ...]:
    """Draw the deaths: one in about every second iteration, one of them the proposer's."""
    draw = random.Random(seed)
    count = max(1, iterations // 2)
    moments = sorted(draw.sample(range(iterations), count))
    # Everybody's turn comes, the proposer's in any case.
    others = draw.sample(vehicles[1:], len(vehicles) - 1)
    victims = list(islice(cycle([vehicles[0], *others]), count))
    draw.shuffle(victims)
    return tuple(
        Kill(moment, (victim,), round(draw.random(), 3), round(draw.uniform(*_DOWN_SECONDS), 2))
        for moment, victim in zip(moments, victims, strict=True)
    )


class KillFault(Fault):
    """Kills vehicles as scheduled, one death after the other, and restarts them."""

    name = "kill"

    def __init__(
        self, kills: Sequence[Kill], console: Console | None = None, look_at_disks: bool = True
    ) -> None:
        """`look_at_disks`: whether to see what the dead have, which may take a while."""
        super().__init__(console)
        self.victims = tuple(sorted({name for kill in kills for name in kill.victims}))
        self._left, self._look_at_disks = list(kills), look_at_disks
        self._iteration, self._iteration_began = -1, 0.0
        self._iteration_seconds = _FIRST_SECONDS
        self._down: Kill | None = None
        self._restart_at = 0.0
        self._heights_at_death: dict[str, int] = {}
        self._awaited: set[str] = set()

    @property
    def over(self) -> bool:
        """Whether all deaths have been died and all victims are back."""
        return not self._left and self._down is None and not self._awaited

    @property
    def down(self) -> Collection[str]:
        """Those who were killed."""
        return self._down.victims if self._down is not None else ()

    def step(self, fleet: Fleet, statuses: Statuses) -> None:
        """Kill, restart or welcome back whoever is due."""
        now = time.monotonic()
        self._keep_time(statuses, now)
        if self._down is not None:
            if now >= self._restart_at:
                self._restart(fleet, self._down)
        elif self._awaited:
            for name in sorted(self._awaited):
                self._welcome(name, statuses[name])
        elif self._left and self._is_due(self._left[0], now):
            self._kill(fleet, self._left.pop(0), statuses, now)

    def _keep_time(self, statuses: Statuses, now: float) -> None:
        """Notice a new iteration; the first begins once every vehicle has spoken."""
        if self._iteration < 0 and not all(statuses.values()):
            return
        iteration = iteration_of(statuses.values())
        if iteration > self._iteration:
            if self._iteration >= 0:
                self._iteration_seconds = now - self._iteration_began
            self._iteration, self._iteration_began = iteration, now

    def _is_due(self, kill: Kill, now: float) -> bool:
        if self._iteration != kill.iteration:
            return self._iteration > kill.iteration
        return now >= self._iteration_began + kill.delay * self._iteration_seconds

    def _kill(self, fleet: Fleet, kill: Kill, statuses: Statuses, now: float) -> None:
        fleet.runtime.kill(kill.victims)
        self._down, self._restart_at = kill, now + kill.down_seconds
        for name in kill.victims:
            said = statuses[name]
            if not said:
                continue
            self.note(
                f"killed {name} after iteration {self._iteration} while {said.state}, "
                f"at height {said.chain.height}"
            )
            if self._look_at_disks:
                self._heights_at_death[name] = self._examine(fleet, name, said)

    def _examine(self, fleet: Fleet, name: str, said: VehicleStatus) -> int:
        """Look for what the dead vehicle had said it has; the height of its chain on disk."""
        genesis = load_genesis(fleet.folder.genesis)
        try:
            with fleet.runtime.data(name) as folder:
                found = look(folder, genesis, [bytes.fromhex(said.chain.tip)])
        except StoreError as error:
            self.problems.append(f"{name} left a damaged chain when it was killed: {error}")
            return 0
        if found.missing or found.height < said.chain.height:
            self.problems.append(
                f"{name} lost blocks when it was killed: it had reported height "
                f"{said.chain.height}, tip {said.chain.tip[:12]}, and its disk has height "
                f"{found.height}"
            )
        return found.height

    def _restart(self, fleet: Fleet, kill: Kill) -> None:
        fleet.runtime.restart(kill.victims)
        self._down, self._awaited = None, set(kill.victims)
        self.note(f"restarted {', '.join(kill.victims)} after {kill.down_seconds} s")

    def _welcome(self, name: str, said: VehicleStatus | None) -> None:
        if not said:
            return
        self._awaited.remove(name)
        self.note(f"{name} is back at height {said.chain.height}")
        at_death = self._heights_at_death.get(name, 0)
        if said.chain.height < at_death:
            self.problems.append(
                f"{name} came back at height {said.chain.height}, "
                f"below the {at_death} that it had on disk"
            )
