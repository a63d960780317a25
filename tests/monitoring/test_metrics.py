"""The numbers to plot, from a view of the fleet."""

from __future__ import annotations

from bift_ros.history.blocks import BlockSummary, ModelSummary, UpdateSummary
from bift_ros.monitoring.metrics import FLEET_METRICS, VEHICLE_METRICS
from bift_ros.monitoring.status_json import status_from_json
from bift_ros.monitoring.view import FleetView


def block(height: int, accuracy: float, contributors: tuple[str, ...]) -> BlockSummary:
    updates = tuple(UpdateSummary(a, 0.5, 10) for a in ("one", "two", "bad"))
    model = ModelSummary("lights", height, 9, f"{height}", "krum", accuracy, contributors)
    return BlockSummary(
        f"{height}", f"{height - 1}", height, "m", 1500 * height, {}, updates, model
    )


def numbers(view: FleetView) -> dict[str, float | None]:
    return {name: of(view) for name, of in FLEET_METRICS.items()}


def test_nothing_is_known_at_first() -> None:
    assert set(numbers(FleetView()).values()) == {None}


def test_the_numbers_follow_the_heads_branch() -> None:
    view = FleetView()
    view.add_block(block(1, 0.5, ("one", "two")))
    view.add_block(block(2, 0.75, ("one",)))
    for name, waiting in (("one", 3), ("two", 8)):
        status = status_from_json({
            "name": name, "address": name, "tip": "2", "height": 2, "mempool": waiting,
            "model_id": "lights", "balance": 40, "epoch": 1, "loss": 0.25,
        })  # fmt: skip
        view.observe_status(status, 1.0)
        view.observe_loss(name, "lights", 1, 9.0)
        view.observe_loss(name, "lights", 2, float(waiting))
    assert numbers(view) == {
        "accuracy": 0.75,
        "loss": 5.5,
        "round_seconds": 1.5,
        "tip_height": 2.0,
        "mempool": 8.0,
        "refused_updates": 2.0,
    }
    vehicle = view.vehicles["one"]
    assert {name: of(vehicle) for name, of in VEHICLE_METRICS.items()} == {
        "loss": 0.25, "stake": 40.0,
    }  # fmt: skip
