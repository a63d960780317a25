"""Every kind of Byzantine behaviour by name, and which vehicles of a run show which."""

from __future__ import annotations

import random
from collections.abc import Iterable

from bift_ros.simulation.byzantine_blocks import (
    ConvenientSubset,
    Equivocator,
    FutureBlocks,
    OversizeBlocks,
    ReplayingMiner,
    StolenBlocks,
    WrongAggregate,
    WrongContributors,
)
from bift_ros.simulation.byzantine_files import FalseGateway, FileHog, LargeUpdates
from bift_ros.simulation.byzantine_history import PrivateBranch, SideMiner
from bift_ros.simulation.byzantine_membership import OldKeys
from bift_ros.simulation.byzantine_mining import FastMiner
from bift_ros.simulation.byzantine_rounds import (
    LateCommitter,
    LateRevealer,
    MalformedUpdates,
    SilentAfterCommit,
    Withholder,
)
from bift_ros.simulation.byzantine_traffic import (
    AccountFlooder,
    DoubleSpender,
    FalseTips,
    Flooder,
    IdentityThief,
    OrphanFlooder,
    TaskHijacker,
)
from bift_ros.simulation.byzantine_vehicle import Byzantine
from bift_ros.simulation.byzantine_wire import WireFlooder
from bift_ros.simulation.scenario import Scenario, ScenarioError
from bift_ros.simulation.vehicle import Vehicle

BEHAVIOURS: dict[str, type[Byzantine]] = {
    "wrong_aggregate": WrongAggregate,
    "wrong_contributors": WrongContributors,
    "convenient_subset": ConvenientSubset,
    "withholder": Withholder,
    "equivocator": Equivocator,
    "future_blocks": FutureBlocks,
    "oversize_blocks": OversizeBlocks,
    "replaying_miner": ReplayingMiner,
    "stolen_blocks": StolenBlocks,
    "double_spender": DoubleSpender,
    "identity_thief": IdentityThief,
    "fast_miner": FastMiner,
    "silent_after_commit": SilentAfterCommit,
    "late_committer": LateCommitter,
    "malformed_updates": MalformedUpdates,
    "false_tips": FalseTips,
    "flooder": Flooder,
    "wire_flooder": WireFlooder,
    "file_hog": FileHog,
    "large_updates": LargeUpdates,
    "false_gateway": FalseGateway,
    "old_keys": OldKeys,
    "late_revealer": LateRevealer,
    "task_hijacker": TaskHijacker,
    "account_flooder": AccountFlooder,
    "orphan_flooder": OrphanFlooder,
    "private_branch": PrivateBranch,
    "side_miner": SideMiner,
}


def draw_byzantine(scenario: Scenario, rng: random.Random) -> dict[int, type[Byzantine]]:
    """Which vehicles are Byzantine, by number, and how."""
    unknown = sorted(set(scenario.behaviours) - set(BEHAVIOURS))
    if unknown:
        raise ScenarioError(
            f"no such behaviour: {', '.join(unknown)} (use {', '.join(BEHAVIOURS)})"
        )
    kinds = scenario.behaviours or tuple(BEHAVIOURS)
    numbers = sorted(rng.sample(range(scenario.founders), scenario.byzantine_count))
    return {number: BEHAVIOURS[rng.choice(kinds)] for number in numbers}


def behaviours_of(vehicles: Iterable[Vehicle]) -> tuple[str, ...]:
    """The names of the behaviours that these vehicles show."""
    shown = {type(vehicle) for vehicle in vehicles}
    return tuple(name for name, kind in BEHAVIOURS.items() if kind in shown)
