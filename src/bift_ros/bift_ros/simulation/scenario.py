"""What is simulated: fleet size, Byzantine vehicles, the task's length and the kinds of fault.

A scenario is pickled on its way to a campaign's processes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bift_ros.consensus.genesis import MAX_MEMBERS, MODES, RULE_OF_MODE, Policy
from bift_ros.peer.config import PeerConfig
from bift_ros.pofl.aggregate import RULES

FAULTS = (
    "delay",
    "loss",
    "duplicate",
    "reorder",
    "partition",
    "crash",
    "torn",
    "absence",
    "skew",
    "clock",
    "disk",
    "training",
    "membership",
    "byzantine",
)
CONFIRMATION_ITERATIONS = 2
"""A block is confirmed once this many later model blocks stand above it: no honest vehicle then
leaves it, nor confirms another at its height."""
MAX_TRAINERS = 200
"""A block of 100 kB holds some 240 updates: in a larger fleet this many vehicles train."""
_MAX_MINIMUM = 100
MINIMUM_VEHICLES = 4


class ScenarioError(Exception):
    """A scenario that makes no sense; the message says what would."""


@dataclass(frozen=True)
class Scenario:
    """One kind of run; the seed makes it a particular one."""

    vehicles: int = 30
    """How many members the fleet has."""
    byzantine: int = 9
    """How many of them are Byzantine, where that is among the faults."""
    iterations: int = 20
    """How many iterations the task takes."""
    faults: tuple[str, ...] = FAULTS
    """Which kinds of fault happen, of `FAULTS`."""
    behaviours: tuple[str, ...] = ()
    """Kinds of Byzantine behaviour to draw from; none: all there are."""
    mode: str = "bift"
    """The consensus mode."""
    encrypt: bool = False
    """Whether model files are encrypted for the members."""
    minimum: int = 0
    """The least updates that make a model; 0: as many as two branches can't both have."""
    without: tuple[str, ...] = ()
    """Single faults that don't happen, such as `crash2`."""
    store_bytes: int = 2**30
    """Bytes of files that a vehicle's store may take."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.faults) - set(FAULTS))
        if unknown:
            raise ScenarioError(f"no such fault: {', '.join(unknown)} (use {', '.join(FAULTS)})")
        if not MINIMUM_VEHICLES <= self.vehicles <= MAX_MEMBERS:
            raise ScenarioError(
                f"{self.vehicles} vehicles: use {MINIMUM_VEHICLES} to {MAX_MEMBERS}"
            )
        if not 0 <= 2 * self.byzantine < self.vehicles:
            raise ScenarioError(
                f"{self.byzantine} of {self.vehicles} Byzantine: use at most "
                f"{(self.vehicles - 1) // 2}, PoFL needs an honest majority"
            )
        if not 0 <= self.minimum <= self.vehicles:
            raise ScenarioError(f"a minimum of {self.minimum} updates: use 1 to {self.vehicles}")
        if self.iterations < 1:
            raise ScenarioError(f"{self.iterations} iterations: use at least 1")
        if self.mode not in MODES:
            raise ScenarioError(f"no such mode: {self.mode} (use {' or '.join(MODES)})")

    def command(self, seed: int) -> str:
        """The command that repeats a run."""
        defaults = Scenario()
        parts = [
            f"./bift simulate --vehicles {self.vehicles} --byzantine {self.byzantine}",
            f"--iterations {self.iterations} --faults {','.join(self.faults) or 'none'}",
        ]
        if self.behaviours:
            parts.append(f"--behaviours {','.join(self.behaviours)}")
        if self.without:
            parts.append(f"--without {','.join(self.without)}")
        for option in ("mode", "minimum"):
            if getattr(self, option) != getattr(defaults, option):
                parts.append(f"--{option} {getattr(self, option)}")
        return " ".join((*parts, f"--replay {seed}"))

    @property
    def byzantine_count(self) -> int:
        """How many vehicles are Byzantine."""
        return self.byzantine if "byzantine" in self.faults else 0

    @property
    def newcomers(self) -> int:
        """How many vehicles, the last ones, are not in the genesis, but voted in and out."""
        return max(1, self.vehicles // 10) if "membership" in self.faults else 0

    @property
    def founders(self) -> int:
        """How many vehicles are in the genesis; the Byzantine ones are among them."""
        return self.vehicles - self.newcomers

    @property
    def rules(self) -> tuple[str, ...]:
        """The aggregation rules that a run's is drawn from."""
        return RULES if self.mode == "bift" else (RULE_OF_MODE[self.mode],)

    @property
    def trainers(self) -> int:
        """How many vehicles train."""
        return min(self.vehicles, MAX_TRAINERS)

    @property
    def policy(self) -> Policy:
        """The fleet's rules: the defaults, with less work and shorter waits."""
        return Policy(
            difficulty=4,
            update_wait_ms=2_000,
            minimum_updates=self.minimum or min(self._quorum, _MAX_MINIMUM),
            byzantine_fraction=math.floor(1000 * self.byzantine / self.vehicles) / 1000,
            mode=self.mode,
            encrypt_models=self.encrypt,
            account_interval_ms=4_000,
        )

    @property
    def _quorum(self) -> int:
        """Members that no two branches can both have, though Byzantine ones vote for each.

        It takes honest members alone to reach it, so it exists for less than a third of Byzantine
        ones. Above that it is the majority (`docs/consensus.md`, "Which branch").
        """
        safe = (self.vehicles + self.byzantine) // 2 + 1
        return safe if safe <= self.vehicles - self.byzantine else self.vehicles // 2 + 1

    @property
    def config(self) -> PeerConfig:
        """The settings of every vehicle: shorter waits here too."""
        return PeerConfig(
            announce_ms=20_000,
            rebroadcast_ms=20_000,
            file_wait_ms=15_000,
            dispute_ms=30_000,  # longer than any partition, as the minute is of those on the road
        )

    @property
    def faults_end_ms(self) -> int:
        """When the last fault ends and the network is whole again, after the start."""
        return 10_000 * self.iterations

    @property
    def deadline_ms(self) -> int:
        """When the task must be done, after the start."""
        return self.faults_end_ms + 300_000 + 60_000 * self.iterations
