"""Vehicles with small stores learn on, and keep no more of the chain's files than they must."""

from __future__ import annotations

from bift_ros.pofl.codec import UPDATE_EXPONENT
from bift_ros.pofl.files import update_bytes
from bift_ros.simulation.fleet import Fleet
from bift_ros.simulation.history import History
from bift_ros.simulation.scenario import Scenario
from bift_ros.simulation.world import INITIAL_MODEL, SPEC, TASK

VEHICLES = 4
AN_ITERATION = len(INITIAL_MODEL) + VEHICLES * update_bytes(SPEC, UPDATE_EXPONENT)


def test_a_store_that_holds_few_iterations_is_enough_for_many() -> None:
    scenario = Scenario(VEHICLES, 0, 60, faults=(), store_bytes=14 * AN_ITERATION)
    fleet = Fleet(scenario, 1, History())
    fleet.begin()
    fleet.live.propose(scenario.iterations, TASK)
    fleet.queue.run_until(fleet.started + scenario.deadline_ms)
    for vehicle in fleet.vehicles:
        task = vehicle.peer.state.last_task
        assert task is not None
        assert task.current_iter == 60
        assert sum(map(len, vehicle.files.values())) <= scenario.store_bytes
    assert not fleet.invariants.violations
