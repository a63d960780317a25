"""What a reader of the fleet's picture has not been told yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple, TypeVar

from bift_ros.dashboard.traffic import TrafficSample
from bift_ros.dashboard.watch import Watch
from bift_ros.history.blocks import BlockSummary
from bift_ros.history.chain import Relation
from bift_ros.history.iterations import Iteration
from bift_ros.monitoring.findings import Finding
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.monitoring.view import FleetView

_T = TypeVar("_T")

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
    lanes: Mapping[str, int] = {}
    iterations: tuple[Iteration, ...] = ()
    relations: Mapping[str, Relation] = {}


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
    blocks: tuple[BlockSummary, ...]
    """In the order in which they were heard."""
    lanes: Mapping[str, int | None]
    """Hash → lane, of the blocks that have another one now; None: it can't be placed any more."""
    relations: Mapping[str, Relation]
    """Name → where it stands, seen from the head; of the vehicles that stand elsewhere now."""
    kept_iterations: int
    """How many of those that were told before still hold."""
    iterations: tuple[Iteration, ...]
    """Those after them, of the newest task that has any."""
    losses: Losses
    """Of every task; it is little."""
    traffic: tuple[TrafficSample, ...]
    findings: tuple[Finding, ...]
    """All that need attention now."""
    position: Position
    """The reader's, once it has been told."""


def news(view: FleetView, watch: Watch, since: Position) -> News:
    """What has come since a position; nothing has where the news' own position is the same."""
    traffic, history = watch.traffic, view.history
    task = history.iterations[-1].model.model_id if history.iterations else ""
    now = Position(
        view.revision,
        view.chain.added,
        traffic.taken,
        watch.revision,
        history.lanes,
        tuple(i for i in history.iterations if i.model.model_id == task),
        {v.name: history.relation(v.tip_hash) for v in view.vehicles.values()},
    )
    pairs = zip(since.iterations, now.iterations, strict=False)
    kept = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return News(
        head=view.head,
        vehicles=tuple(
            VehicleNow(v.name, v.address, v.tip_hash, v.heard_at, v.status)
            for v in view.news(since.revision)
        ),
        blocks=_newest(view, now.blocks - since.blocks),
        lanes=_changed(since.lanes, now.lanes)
        | dict.fromkeys(since.lanes.keys() - now.lanes.keys()),
        relations=_changed(since.relations, now.relations),
        kept_iterations=kept,
        iterations=now.iterations[kept:],
        losses={task: view.mean_losses(task) for task in _tasks(view)},
        traffic=traffic.newest(now.samples - since.samples),
        findings=watch.findings,
        position=now,
    )


def _changed(before: Mapping[str, _T], now: Mapping[str, _T]) -> dict[str, _T]:
    if now is before:
        return {}
    return {key: value for key, value in now.items() if before.get(key) != value}


def _newest(view: FleetView, count: int) -> tuple[BlockSummary, ...]:
    blocks = list(view.chain.blocks.values()) if count else []
    return tuple(blocks[max(0, len(blocks) - count) :])


def _tasks(view: FleetView) -> set[str]:
    said = {v.status.task.model_id for v in view.vehicles.values() if v.status is not None}
    return said - {""}
