"""What a reader of the fleet's picture has not been told yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bift_ros.dashboard.traffic import TrafficSample
from bift_ros.dashboard.watch import Watch
from bift_ros.monitoring.findings import Finding
from bift_ros.monitoring.sightings import BlockSeen
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.monitoring.view import FleetView

Losses = Mapping[str, Mapping[int, float]]
"""Mean training loss by task and iteration."""


class Position(NamedTuple):
    """How much a reader has been told; the default: nothing."""

    revision: int = 0
    blocks: int = 0
    """How many, in the order in which they were heard."""
    samples: int = 0
    """How many of the traffic, in the order in which they were taken."""
    findings: int = 0
    """The revision of the findings."""


class VehicleNow(NamedTuple):
    """One vehicle at the time of reading."""

    name: str
    address: str
    tip_hash: str
    heard_at: float
    """Seconds of the listener's monotonic clock; 0 before its first status."""
    status: VehicleStatus | None


@dataclass(frozen=True)
class News:
    """What is new. It holds on to nothing that changes later."""

    head: str
    vehicles: tuple[VehicleNow, ...]
    blocks: tuple[BlockSeen, ...]
    """In the order in which they were heard."""
    losses: Losses
    """Of every task; it is little."""
    traffic: tuple[TrafficSample, ...]
    findings: tuple[Finding, ...]
    """All that need attention now."""
    position: Position
    """The reader's, once it has been told."""


def news(view: FleetView, watch: Watch, since: Position) -> News:
    """What has come since a position; nothing has where the news' own position is the same."""
    traffic = watch.traffic
    now = Position(view.revision, view.chain.heard, traffic.taken, watch.revision)
    return News(
        head=view.head,
        vehicles=tuple(
            VehicleNow(v.name, v.address, v.tip_hash, v.heard_at, v.status)
            for v in view.news(since.revision)
        ),
        blocks=_newest(view, now.blocks - since.blocks),
        losses={task: view.mean_losses(task) for task in _tasks(view)},
        traffic=traffic.newest(now.samples - since.samples),
        findings=watch.findings,
        position=now,
    )


def _newest(view: FleetView, count: int) -> tuple[BlockSeen, ...]:
    blocks = list(view.chain.blocks.values()) if count else []
    return tuple(blocks[max(0, len(blocks) - count) :])


def _tasks(view: FleetView) -> set[str]:
    said = {v.status.task.model_id for v in view.vehicles.values() if v.status is not None}
    return said - {""}
