"""What a run gives; it is pickled on its way from a campaign's process to the one that asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """An invariant that broke."""

    invariant: str
    """Which one."""
    time_ms: int
    """When, after the start."""
    vehicle: int
    """Where."""
    detail: str
    """How."""


@dataclass(frozen=True)
class Result:
    """What became of one seed."""

    seed: int
    completed: bool
    """Whether every honest vehicle finished the task on one tip."""
    violations: tuple[Violation, ...]
    """What broke."""
    fingerprint: str
    """Of the final chain and the traffic: two runs of one seed have the same."""
    blocks: int
    """The final chain's height."""
    virtual_ms: int
    """How long it took in virtual time."""
    learned_again_ms: int
    """How long after the last fault every honest vehicle had ended another iteration."""
    behaviours: tuple[str, ...]
    """Those of its Byzantine vehicles."""
    strikes: tuple[str, ...]
    """The single faults that there were."""
    seconds: float
    """How long the simulation took."""
    cpu_seconds: float
    """Of these, how long it computed."""
    messages: float
    """Sent to one vehicle, on average; files are among them."""
    bytes: float
    """Of those."""
    signatures: float
    """Signatures that one vehicle had to verify, each once."""
    blocks_checked: float
    """Blocks that one vehicle accepted, side branches included."""
    pofl_recomputed: float
    """Model blocks among these: how often one vehicle aggregated to check."""
