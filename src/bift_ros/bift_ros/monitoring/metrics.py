"""The numbers that are worth plotting while a fleet learns: of the fleet, and of each vehicle."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bift_ros.monitoring.view import FleetView, ObservedVehicle


def accuracy(view: FleetView) -> float | None:
    """Accuracy of the newest global model as the chain states it, 0 to 1."""
    iterations = view.history.iterations
    return iterations[-1].model.accuracy if iterations else None


def loss(view: FleetView) -> float | None:
    """The vehicles' mean training loss in the newest iteration."""
    tasks = [v.status.task.model_id for v in view.vehicles.values() if v.status is not None]
    return view.newest_loss(max(tasks, key=tasks.count)) if tasks else None


def round_seconds(view: FleetView) -> float | None:
    """Seconds between the last two global models of one task, by their miners' clocks."""
    iterations = view.history.iterations
    return iterations[-1].seconds if iterations and iterations[-1].model.current_iter > 1 else None


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
    iterations = view.history.iterations
    return float(len(iterations[-1].left_out)) if iterations else None


def _stake(vehicle: ObservedVehicle) -> float | None:
    """Tokens of its account."""
    return float(vehicle.status.chain.balance) if vehicle.status is not None else None


def _local_loss(vehicle: ObservedVehicle) -> float | None:
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
VEHICLE_METRICS: Mapping[str, Callable[[ObservedVehicle], float | None]] = {
    "loss": _local_loss,
    "stake": _stake,
}
"""What else is of interest is plotted from the status topic, such as `status/chain/height`."""
