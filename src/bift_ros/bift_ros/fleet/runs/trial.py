"""One fleet from `up` to its task's end, measured: what `./bift bench fleet` runs."""

from __future__ import annotations

import statistics
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bift_ros.consensus.state import State
from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.fleet.runs.bags import bags_of, synthetic_bags
from bift_ros.fleet.runs.bring_up import Overrides, bring_up
from bift_ros.fleet.runs.evaluation import Evaluator
from bift_ros.fleet.runs.faults import Fault, on_one_tip
from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runs.run import Run
from bift_ros.fleet.runs.signals import ignoring_signals
from bift_ros.fleet.runs.watching import live_view
from bift_ros.fleet.runtimes.runtime import FleetError

_TEST_CROPS = 2000
_TEST_SEED = 1_000_003
"""Of no vehicle's bag."""
_EVALUATION_SECONDS = 300.0


@dataclass(frozen=True)
class TrialResult:
    """What one run came to."""

    vehicles: int
    malicious: int
    fault: str
    victims: tuple[str, ...]
    up_seconds: float
    """From `up`, with bags and image there, to the last vehicle that has heard all others."""
    learn_seconds: float
    """From then to the task's end, with every vehicle on one tip."""
    iterations: int
    agreed: bool
    """Whether all vehicles stand on one tip at the task's end."""
    verified: bool
    """Whether the first honest vehicle's chain verifies, with every PoFL recomputed."""
    consensus_seconds: tuple[float, ...]
    """The slowest vehicle's, for each iteration: last update heard to standing on the new tip."""
    consensus_median: float
    peak_rss_mb: int
    """The largest of all vehicles'."""
    accuracy: float
    """Of the final global model on a held-out test set that no vehicle has seen, 0 to 1."""
    down_seconds: float


def run_trial(
    file: Path,
    root: Path,
    overrides: Overrides,
    description: FleetDescription,
    fault: Fault,
    console: Console,
    timeout: float,
) -> TrialResult:
    """Bring a fleet up, follow it to the end of its task, and take it down.

    `root` is the folder of fleets; `description` is the file's, with the `overrides`. Raises
    FleetError, also where it takes longer than `timeout` seconds.
    """
    bags = root / "bags"
    bags_of(description, bags, console)
    began = time.monotonic()
    fleet = bring_up(str(file), root, overrides, console, bags)
    try:
        run = Run(fleet, fault)
        with fleet.listening() as monitor, live_view(console) as show:
            fleet.wait(monitor, timeout, run.note)
            up_at = time.monotonic()
            console.print(f"up after {up_at - began:.1f} s")
            run.follow(monitor, show, began + timeout)
        ended_at = time.monotonic()
        fleet.down(keep_data=True)
        down_at = time.monotonic()
        honest = next(v.name for v in description.vehicles if not v.malicious)
        outcome = fleet.outcome(honest)
        accuracy = _accuracy(fleet, honest, outcome.state, root / "bags", console)
    finally:
        with ignoring_signals(), suppress(FleetError):
            fleet.down(keep_data=False)
    for problem in fault.problems:
        console.print(problem, markup=False)
    slowest = [s.training.consensus_seconds for s in run.slowest.values()]
    return TrialResult(
        vehicles=len(description.vehicles),
        malicious=sum(bool(v.malicious) for v in description.vehicles),
        fault=fault.name,
        victims=fault.victims,
        up_seconds=round(up_at - began, 1),
        learn_seconds=round(ended_at - up_at, 1),
        iterations=len(slowest),
        agreed=on_one_tip(run.statuses),
        verified=outcome.problem is None,
        consensus_seconds=tuple(round(s, 2) for s in slowest),
        consensus_median=round(statistics.median(slowest), 2),
        peak_rss_mb=run.peak_rss_mb,
        accuracy=round(accuracy, 4),
        down_seconds=round(down_at - ended_at, 1),
    )


def _accuracy(fleet: Fleet, vehicle: str, state: State, bags: Path, console: Console) -> float:
    """That of a vehicle's last global model on a test set."""
    task = state.latest_task
    if task is None:
        raise FleetError(f"the chain of {vehicle} has no task")
    test_set = synthetic_bags(1, 1, _TEST_SEED, bags, console, _TEST_CROPS) / "test"
    with closing(Evaluator(fleet.model, test_set, task.proposal.architecture, "cpu")) as evaluator:
        evaluator.evaluate(1, vehicle, task.global_cid)
        evaluator.wait(_EVALUATION_SECONDS)
        if evaluator.errors:
            raise FleetError(f"the last model can't be measured: {evaluator.errors[1]}")
        return evaluator.accuracy[1]
