"""A monitor that is stopped, and later goes on, while a real fleet learns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from process_fleet import running

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.consensus.genesis import Policy
from bift_ros.fleet.description.fleet import FleetDescription, TaskDescription, VehicleDescription
from bift_ros.monitoring.view import FleetView
from bift_ros.nodes.observer.fleet_listener import FleetListener

pytestmark = [pytest.mark.ros, pytest.mark.slow, pytest.mark.timeout(400)]

DEADLINE = 150.0
ITERATIONS = 3
# It tells once it has heard the fleet, and once it knows the chain to its end.
STALLED = f"""
from bift_ros.nodes.observer.fleet_listener import FleetListener
listener = FleetListener()

def end(view):
    chain = view.history.blocks
    return any(b.model and b.model.current_iter == {ITERATIONS} for b in chain) and (
        chain[0].height == 1  # what it missed is fetched
    )

def heard(view):
    return sum(v.status is not None for v in view.vehicles.values()) == 2

assert listener.wait(heard, 60)
print("heard", flush=True)
assert listener.wait(end, {DEADLINE})
with listener.reading() as view:
    print(view.history.blocks[0].height, flush=True)
listener.close()
"""


def learned(view: FleetView) -> bool:
    """Both vehicles are at the end of the task, on one tip."""
    statuses = [v.status for v in view.vehicles.values() if v.status is not None]
    return (
        len(statuses) == 2
        and all(status.task.current_iter == ITERATIONS for status in statuses)
        and len({status.chain.tip for status in statuses}) == 1
    )


def wait(listener: FleetListener, condition: Callable[[FleetView], bool]) -> None:
    reached = listener.wait(condition, DEADLINE)
    with listener.reading() as view:
        assert reached, {name: v.status for name, v in view.vehicles.items()}


def test_a_fleet_goes_on_while_a_monitor_is_stopped(
    surroundings: Any, bags: Path, tmp_path: Path
) -> None:
    names = ("vehicle_00", "vehicle_01")
    fleet = FleetDescription(
        "pair",
        tuple(VehicleDescription(name, bag=bags / name, device="cpu") for name in names),
        TaskDescription(iterations=ITERATIONS, local_epochs=1, rule="fedavg"),
        Policy(update_wait_ms=1000, minimum_updates=2),
        replay_rate=2.0,
    )
    with (
        closing(FleetListener()) as listener,
        running(tmp_path, fleet),
        subprocess.Popen(
            [sys.executable, "-c", STALLED],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | surroundings.environment,
        ) as stalled,
    ):
        assert stalled.stdout is not None
        try:
            assert stalled.stdout.readline() == "heard\n"
            stalled.send_signal(signal.SIGSTOP)
            wait(listener, learned)
            stalled.send_signal(signal.SIGCONT)
            assert stalled.stdout.readline() == "1\n"
        finally:
            stalled.kill()
        wait(listener, lambda view: [b.height for b in view.history.blocks][:1] == [1])
        # What operators are told beside: of the disk, the data set and the traffic.
        with listener.reading() as view:
            statuses = [v.status for v in view.vehicles.values() if v.status is not None]
        for status in statuses:
            assert status.resources.disk_free_mb > 0
            assert len(status.dataset.class_samples) == 10
            assert sum(status.dataset.class_samples) == status.dataset.samples > 0
            assert status.resources.gpu_mb == status.resources.gpu_limit_mb == 0
            assert status.resources.fetched_bytes > 10_000
            assert status.resources.served_bytes > 10_000
