"""What a check says of one part of a vehicle, and where the checks draw their lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Level(IntEnum):
    """How bad it is; the numbers are those of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    """Somebody should look, the vehicle goes on."""
    ERROR = 2
    """It does not do its work."""
    STALE = 3
    """Nobody knows: it has not been heard for too long."""


SILENT_SECONDS = 10.0
"""A vehicle not heard for so long is silent; at rest they speak every three seconds."""


@dataclass(frozen=True)
class Finding:
    """The state of one part of one vehicle, or of the fleet."""

    subject: str
    """The vehicle's name, or `FLEET`."""
    part: str
    level: Level
    message: str
    """A sentence or less."""
    values: Mapping[str, str] = field(default_factory=dict)


FLEET = "fleet"


@dataclass(frozen=True)
class Thresholds:
    """Where a level begins."""

    stale_seconds: float = SILENT_SECONDS
    """A vehicle not heard for so long is stale."""
    forked_seconds: float = 15.0
    """A vehicle that has been on another branch than most, or behind, for so long is reported."""
    recent_seconds: float = 60.0
    """A refusal is reported for so long."""
    accuracy_drop: float = 0.1
    """How far the global model's accuracy may fall below the task's best, as a share of 1."""
    loss_growth: float = 3.0
    """How many times the task's lowest training loss of a vehicle its newest may be."""
    disk_low_mb: int = 2048
    """Free space below which a disk is low; below a tenth of it, it is full."""
    gpu_share: float = 0.9
    """Share of its GPU memory limit above which a worker is near it."""
