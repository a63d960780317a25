"""After the last fault everybody ends another iteration, and a vehicle that does not is seen."""

from __future__ import annotations

import pytest

from bift_ros.peer.store_writes import StoreWrites
from bift_ros.simulation.liveness import BOUND
from bift_ros.simulation.run import simulate
from bift_ros.simulation.scenario import FAULTS, Scenario

STRIKING = [kind for kind in FAULTS if kind not in ("skew", "membership", "byzantine")]


@pytest.mark.parametrize("fault", STRIKING)
def test_the_fleet_learns_again_after_each_kind_of_fault(fault: str) -> None:
    scenario = Scenario(6, 0, 8, faults=(fault,))
    result = simulate(scenario, 3)
    assert not result.violations
    assert all(name.startswith(fault) for name in result.strikes)
    assert result.strikes
    assert 0 < result.learned_again_ms <= BOUND * scenario.policy.update_wait_ms


def test_a_single_fault_can_be_left_out() -> None:
    scenario = Scenario(6, 0, 4, faults=("delay", "crash"))
    first = simulate(scenario, 3).strikes
    left = simulate(Scenario(6, 0, 4, faults=("delay", "crash"), without=first[:1]), 3).strikes
    assert first[0] not in left
    assert set(left) & set(first)


def test_a_vehicle_that_stands_still_after_a_fault_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that never tries again what failed on a full disk."""
    monkeypatch.setattr(StoreWrites, "pause", lambda self, now: self.failing)
    result = simulate(Scenario(4, 0, 3, faults=("disk",)), 1)
    assert "liveness" in {violation.invariant for violation in result.violations}
    assert not result.completed
