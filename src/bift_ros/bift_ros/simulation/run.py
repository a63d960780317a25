"""One run: a scenario and a seed give what happened, the same each time."""

from __future__ import annotations

import gc
import hashlib
import time

from bift_ros.simulation.byzantine import behaviours_of
from bift_ros.simulation.faults import Faults
from bift_ros.simulation.fleet import Fleet
from bift_ros.simulation.history import History
from bift_ros.simulation.owners import Owners
from bift_ros.simulation.results import Result
from bift_ros.simulation.scenario import Scenario
from bift_ros.simulation.world import TASK

_STEP_MS = 1_000
_GARBAGE = 1_000_000
"""New objects after which Python looks for cycles: almost none here are in one."""


def simulate(scenario: Scenario, seed: int, history: History | None = None) -> Result:
    """Run until the task is done and every transfer settled, or the deadline has passed."""
    begun, cpu = time.perf_counter(), time.process_time()
    gc.collect()  # the seed before
    gc.set_threshold(_GARBAGE, 50, 50)
    fleet = Fleet(scenario, seed, history or History())
    fleet.begin()
    fleet.live.propose(scenario.iterations, TASK)
    Faults(fleet).begin()
    Owners(fleet).begin()
    deadline = fleet.started + scenario.deadline_ms
    completed = False
    while not completed and fleet.queue.now < deadline:
        fleet.queue.run_until(fleet.queue.now + _STEP_MS)
        completed = fleet.completed()
    fleet.invariants.finish(completed)
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu
    return _result(fleet, completed, seconds, cpu_seconds)


def _result(fleet: Fleet, completed: bool, seconds: float, cpu_seconds: float) -> Result:
    vehicles, network = fleet.vehicles, fleet.network
    count = len(vehicles)
    tips = sorted(vehicle.store.tip for vehicle in vehicles)
    traffic = f"{network.messages} {network.bytes} {fleet.queue.now}".encode()
    checked = sum(v.blocks_checked for v in vehicles)
    transactions = sum(len(v.seen) + v.tips_heard for v in vehicles)
    return Result(
        seed=fleet.seed,
        completed=completed,
        violations=tuple(fleet.invariants.violations),
        fingerprint=hashlib.sha256(b"".join(tips) + traffic).hexdigest()[:16],
        blocks=fleet.honest[0].peer.state.height,
        virtual_ms=fleet.queue.now - fleet.started,
        learned_again_ms=fleet.live.after_ms,
        behaviours=behaviours_of(vehicles),
        strikes=tuple(fleet.struck),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        messages=network.messages / count,
        bytes=network.bytes / count,
        signatures=(transactions + checked) / count,
        blocks_checked=checked / count,
        pofl_recomputed=sum(v.models_recomputed for v in vehicles) / count,
    )
