"""What the page is sent, as JSON values.

Everything that a vehicle said goes through `plain`: JSON has no NaN.
"""

from __future__ import annotations

from typing import Any

from bift_ros.dashboard.changes import Delta
from bift_ros.dashboard.traffic import TrafficSample
from bift_ros.history.blocks import BlockSummary
from bift_ros.history.iterations import Iteration
from bift_ros.monitoring.findings import SILENT_SECONDS, Finding
from bift_ros.monitoring.status_json import plain, status_json
from bift_ros.monitoring.view import ObservedVehicle

Document = dict[str, Any]


def document(delta: Delta, whole: bool, clock: float) -> Document:
    """What is new. `whole`: it replaces all that the page knew. `clock`: the listener's, now."""
    return {
        "whole": whole,
        "clock": clock,
        "silent_seconds": SILENT_SECONDS,
        "head": delta.head,
        "vehicles": [vehicle(v) for v in delta.vehicles],
        "blocks": [block(b) for b in delta.blocks],
        "lanes": delta.lanes,
        "relations": {name: relation.value for name, relation in delta.relations.items()},
        "iterations": {
            block: iteration(finished) if finished is not None else None
            for block, finished in delta.iterations.items()
        },
        "losses": plain(delta.losses),
        "traffic": [traffic_sample(s) for s in delta.traffic],
        "findings": [finding(f) for f in delta.findings],
    }


def vehicle(seen: ObservedVehicle) -> Document:
    """A vehicle; `status` is null until it has spoken."""
    return {
        "name": seen.name,
        "address": seen.address,
        "tip": seen.tip_hash,
        "heard_at": seen.heard_at,
        "status": status_json(seen.status) if seen.status is not None else None,
    }


def block(seen: BlockSummary) -> Document:
    """A block; updates as [address, accuracy, samples], `model` null where it brings none."""
    return {
        "hash": seen.hash,
        "previous_hash": seen.previous_hash,
        "index": seen.height,
        "miner": seen.miner,
        "timestamp": seen.timestamp,
        "transactions": dict(seen.transactions),
        "updates": [[u.sender, plain(u.accuracy), u.samples] for u in seen.updates],
        "model": plain(vars(seen.model)) if seen.model is not None else None,
    }


def iteration(finished: Iteration) -> Document:
    """A finished iteration; `others` is the outcome of all who are not among `outcomes`."""
    accuracies = [update.accuracy for update in finished.block.updates]
    return {
        "lowest": plain(min(accuracies, default=None)),
        "highest": plain(max(accuracies, default=None)),
        "outcomes": {address: found.value for address, found in finished.outcomes.items()},
        "others": finished.others.value,
    }


def traffic_sample(sample: TrafficSample) -> Document:
    """What went through the network in a while, as rates a second."""
    return {
        "at": sample.at,
        "fetched": sample.fetched / sample.seconds,
        "served": sample.served / sample.seconds,
        "messages": {kind: count / sample.seconds for kind, count in sample.messages.items()},
    }


def finding(found: Finding) -> Document:
    """What needs attention; `level` is warn, error or stale."""
    return {
        "subject": found.subject,
        "part": found.part,
        "level": found.level.name.lower(),
        "message": found.message,
    }
