"""Each Byzantine behaviour alone: what is false is refused, and the fleet finishes all the same."""

from __future__ import annotations

import pytest

from bift_ros.simulation.byzantine import BEHAVIOURS
from bift_ros.simulation.history import History
from bift_ros.simulation.run import simulate
from bift_ros.simulation.scenario import Scenario

REFUSED = {
    "wrong_aggregate": "global_cid is",
    "wrong_contributors": "contributors is",
    "convenient_subset": "",
    "withholder": "",
    "equivocator": "signed both",
    "future_blocks": "ahead of this clock",
    "oversize_blocks": "100000 bytes",
    "replaying_miner": "refuses a block",
    "stolen_blocks": "is not signed by its miner",
    "double_spender": "and wants to give",
    "identity_thief": "is not signed by it",
    "fast_miner": "signed both",
    "silent_after_commit": "",
    "late_committer": "",
    "malformed_updates": "is malformed",
    "false_tips": "does not stand on it",
    "flooder": "far ahead",
    "wire_flooder": "is not signed by it",
    "file_hog": "",
    "large_updates": "is malformed",
    "false_gateway": "",
    "old_keys": "",
    "late_revealer": "",
    "task_hijacker": "",
    "account_flooder": "",
    "orphan_flooder": "",
    "private_branch": "",
    "side_miner": "",
}
"""What an honest vehicle says to it; empty where there is nothing to say, only to do without."""


@pytest.mark.parametrize("kind", BEHAVIOURS)
def test_a_byzantine_vehicle_is_refused_and_the_fleet_finishes(kind):
    lines: list[str] = []
    scenario = Scenario(8, 2, 4, faults=("byzantine",), behaviours=(kind,))
    result = simulate(scenario, 1, History(lines.append))
    assert result.completed
    assert not result.violations
    honest = [line for line in lines if BEHAVIOURS[kind].__name__ not in line]
    assert any(REFUSED[kind] in line for line in honest)
