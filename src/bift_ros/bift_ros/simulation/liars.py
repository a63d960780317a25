"""Every kind of liar by name, and which vehicles of a run lie how."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bift_ros.simulation.conduct import Conduct
from bift_ros.simulation.liars_blocks import (
    ConvenientSubset,
    Equivocator,
    FutureBlocks,
    OversizeBlocks,
    ReplayingMiner,
    StolenBlocks,
    WrongAggregate,
    WrongContributors,
)
from bift_ros.simulation.liars_mining import FastMiner
from bift_ros.simulation.liars_rounds import (
    LateCommitter,
    MalformedUpdates,
    SilentAfterCommit,
    Withholder,
)
from bift_ros.simulation.liars_traffic import DoubleSpender, Flooder, IdentityThief, LyingTips
from bift_ros.simulation.scenario import Scenario, ScenarioError

if TYPE_CHECKING:
    from bift_ros.simulation.vehicle import Vehicle

LIARS: dict[str, type[Conduct]] = {
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
    "lying_tips": LyingTips,
    "flooder": Flooder,
}


def choose_liars(vehicles: Sequence[Vehicle], scenario: Scenario, rng: random.Random) -> None:
    """Draw which vehicles lie, and how each."""
    unknown = sorted(set(scenario.liars) - set(LIARS))
    if unknown:
        raise ScenarioError(f"no such liar: {', '.join(unknown)} (use {', '.join(LIARS)})")
    kinds = scenario.liars or tuple(LIARS)
    for number in sorted(rng.sample(range(len(vehicles)), scenario.liar_count)):
        vehicle = vehicles[number]
        vehicle.conduct = LIARS[rng.choice(kinds)](vehicle)
