"""What a reader of the fleet's picture has not been told yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from bift_ros.dashboard.sampling import Sampler
from bift_ros.dashboard.traffic import TrafficSample
from bift_ros.history.blocks import BlockSummary
from bift_ros.history.chain import Relation
from bift_ros.history.iterations import Iteration
from bift_ros.monitoring.findings import Finding
from bift_ros.monitoring.view import FleetView, ObservedVehicle

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
    iterations: Mapping[str, Iteration] = {}
    relations: Mapping[str, Relation] = {}


@dataclass(frozen=True)
class Delta:
    """What is new. It holds on to nothing that changes later."""

    head: str
    vehicles: tuple[ObservedVehicle, ...]
    blocks: tuple[BlockSummary, ...]
    """In the order in which they were heard."""
    lanes: Mapping[str, int | None]
    """Hash → lane, of the blocks that have another one now; None: it can't be placed any more."""
    relations: Mapping[str, Relation]
    """Name → where it stands, seen from the head; of the vehicles that stand elsewhere now."""
    iterations: Mapping[str, Iteration | None]
    """Block's hash → iteration of the newest task; None: it holds no more."""
    losses: Losses
    """Of every task; it is little."""
    traffic: tuple[TrafficSample, ...]
    findings: tuple[Finding, ...]
    """All that need attention now."""
    position: Position
    """The reader's, once it has been told."""


def delta(view: FleetView, sampler: Sampler, since: Position) -> Delta:
    """What has come since a position; nothing has where its own position is the same."""
    traffic, history = sampler.traffic, view.history
    now = Position(
        view.revision,
        view.chain.added,
        traffic.taken,
        sampler.revision,
        history.lanes,
        history.newest_task,
        {v.name: history.relation(v.tip_hash) for v in view.vehicles.values()},
    )
    return Delta(
        head=view.head,
        vehicles=tuple(view.changed_since(since.revision)),
        blocks=_newest(view, now.blocks - since.blocks),
        lanes=_changed(since.lanes, now.lanes),
        relations={n: r for n, r in now.relations.items() if since.relations.get(n) != r},
        iterations=_changed(since.iterations, now.iterations),
        losses={task: view.mean_losses(task) for task in _tasks(view)},
        traffic=traffic.newest(now.samples - since.samples),
        findings=sampler.findings,
        position=now,
    )


def _changed(before: Mapping[str, _T], now: Mapping[str, _T]) -> dict[str, _T | None]:
    """What is another now; None for what is no more."""
    if now is before:
        return {}
    changed = {key: value for key, value in now.items() if before.get(key) != value}
    return {**changed, **dict.fromkeys(before.keys() - now.keys())}


def _newest(view: FleetView, count: int) -> tuple[BlockSummary, ...]:
    blocks = list(view.chain.blocks.values()) if count else []
    return tuple(blocks[max(0, len(blocks) - count) :])


def _tasks(view: FleetView) -> set[str]:
    said = {v.status.task.model_id for v in view.vehicles.values() if v.status is not None}
    return said - {""}
