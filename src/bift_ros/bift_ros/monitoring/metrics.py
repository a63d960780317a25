"""The numbers that are worth plotting while a fleet learns: of the fleet, and of each vehicle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice

from bift_ros.monitoring.health import refused_senders
from bift_ros.monitoring.sightings import BlockSeen
from bift_ros.monitoring.view import FleetView, VehicleSeen


def _model_blocks(view: FleetView) -> list[BlockSeen]:
    """The newest two blocks on the head's branch that bring a global model, newest first."""
    return list(islice((b for b in view.chain.branch(view.head) if b.model is not None), 2))


def accuracy(view: FleetView) -> float | None:
    """Accuracy of the newest global model as the chain states it, 0 to 1."""
    blocks = _model_blocks(view)
    return blocks[0].model.accuracy if blocks and blocks[0].model is not None else None


def loss(view: FleetView) -> float | None:
    """The vehicles' mean training loss in the newest iteration."""
    tasks = [v.status.task.model_id for v in view.vehicles.values() if v.status is not None]
    return view.newest_loss(max(tasks, key=tasks.count)) if tasks else None


def round_seconds(view: FleetView) -> float | None:
    """Seconds between the last two global models of one task, by their miners' clocks."""
    match _model_blocks(view):
        case [new, old] if new.model and old.model and new.model.model_id == old.model.model_id:
            return (new.timestamp - old.timestamp) / 1000
    return None


def tip_height(view: FleetView) -> float | None:
    """Height of the tip that most vehicles stand on."""
    head = view.head
    heights = [v.tip_height for v in view.vehicles.values() if v.tip_hash == head]
    return float(max(heights)) if heights else None


def mempool(view: FleetView) -> float | None:
    """Transactions that wait for a block, at the vehicle that has most."""
    waiting = [v.status.chain.mempool for v in view.vehicles.values() if v.status is not None]
    return float(max(waiting)) if waiting else None


def refused_updates(view: FleetView) -> float | None:
    """Updates that the newest global model's block carries and does not reward."""
    blocks = _model_blocks(view)
    return float(len(refused_senders(blocks[0]))) if blocks else None


def _stake(vehicle: VehicleSeen) -> float | None:
    """Tokens of its account."""
    return float(vehicle.status.chain.balance) if vehicle.status is not None else None


def _local_loss(vehicle: VehicleSeen) -> float | None:
    """Mean training loss of its last finished epoch."""
    if vehicle.status is None or not vehicle.status.training.epoch:
        return None
    return vehicle.status.training.loss


FLEET_METRICS: Mapping[str, Callable[[FleetView], float | None]] = {
    "accuracy": accuracy,
    "loss": loss,
    "round_seconds": round_seconds,
    "tip_height": tip_height,
    "mempool": mempool,
    "refused_updates": refused_updates,
}
VEHICLE_METRICS: Mapping[str, Callable[[VehicleSeen], float | None]] = {
    "loss": _local_loss,
    "stake": _stake,
}
"""What else is of interest is plotted from the status topic, such as `status/chain/height`."""
