"""What a finished run was: plain values, which `dataclasses.asdict` makes the JSON document of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Vehicle:
    """One vehicle after the run."""

    name: str
    height: int | None
    """Of its chain; None where that can't be read."""
    tip: str | None
    """Hash of its last block."""
    verified: bool | None
    """Whether every block's PoFL recomputes from its stored updates; None: not tried."""
    problem: str | None
    """What is wrong with its chain."""
    stake: int | None
    """On the run's chain."""
    samples: int | None
    """Crops in its dataset; where that isn't there, what its last update was trained on."""
    classes: Mapping[str, int] | None
    """The crops by class."""
    peak_rss_mb: int | None
    """The most memory that its processes held at a time, MiB."""
    attack: str | None
    """What it was set to do, where it was malicious."""


@dataclass(frozen=True)
class Iteration:
    """One finished iteration."""

    number: int
    """Counted from 1 along the chain, through all its tasks."""
    task: str
    iteration: int
    """Counted from 1 in the task."""
    total: int
    """How many the task was to have."""
    rule: str
    accuracy: float
    """As the chain states it, 0 to 1: the lower median of what the contributors claim."""
    test_accuracy: float | None
    """On the demo's held-out test set, 0 to 1."""
    contributors: tuple[str, ...]
    """Names of those whose updates were paid for."""
    left_out: tuple[str, ...]
    """Names of those whose updates the block carries, but the rule did not select."""
    absent: tuple[str, ...]
    """Names of the members of whom the block has no update."""
    outcomes: Mapping[str, str]
    """Name → outcome, of every member: the values of `history.iterations.Outcome`."""
    seconds: float
    """Since the last iteration or the task's proposal, by the miners' clocks."""
    parts: Mapping[str, float] | None
    """The slowest vehicle's seconds of training, storage and consensus."""
    stakes: Mapping[str, int]
    """Name → stake, after its block."""
    height: int
    """Its block's."""
    miner: str
    global_cid: str
    """The model that it made."""


@dataclass(frozen=True)
class Block:
    """One block of the run's chain, or of another branch that a vehicle has kept."""

    hash: str
    previous_hash: str
    height: int
    miner: str
    time: int
    """Milliseconds since the Unix epoch, by the miner's clock."""
    transactions: Mapping[str, int]
    """How many of each kind."""
    rule: str | None
    """Of the iteration that it ends; None where it ends none."""
    on_chain: bool
    lane: int
    """Where it is drawn: 0 for the chain, 1 and more for other branches."""


@dataclass(frozen=True)
class Refusal:
    """What vehicles refused of what one sender sent, by their logs."""

    sender: str
    """A name, an address, or empty where nobody is to blame."""
    what: str
    """Such as block or transaction."""
    times: int
    vehicles: tuple[str, ...]
    """Who refused it."""
    reason: str
    """The last one given."""


@dataclass(frozen=True)
class Equivocation:
    """Proof that a miner signed two blocks on one parent."""

    miner: str
    height: int
    held_by: tuple[str, ...]
    """The vehicles that have it."""


@dataclass(frozen=True)
class Run:
    """A whole run."""

    name: str
    """Its folder's."""
    genesis: str
    """Hash."""
    mode: str
    """The consensus mode."""
    encrypted: bool
    """Whether models and updates are encrypted for the members."""
    tip: str
    """Where most vehicles stand."""
    height: int
    agreed: bool
    """Whether all of them stand there."""
    verified: bool | None
    """Whether every vehicle's chain verifies; None: not tried, or not with all."""
    wall_seconds: float | None
    """From the start of the command to its end."""
    learning_seconds: float
    """From the first proposal of a task to the last iteration's block, by the miners' clocks."""
    vehicles: tuple[Vehicle, ...]
    iterations: tuple[Iteration, ...]
    blocks: tuple[Block, ...]
    """The chain's, then those of other branches, each lowest first."""
    refusals: tuple[Refusal, ...]
    equivocations: tuple[Equivocation, ...]
    missing: tuple[str, ...]
    """What the run does not hold, a sentence each."""
