"""One fleet from `up` to its task's end, measured: what `./bift bench fleet` runs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.consensus.genesis import load_genesis
from bift_ros.fleet.description.file import load_description
from bift_ros.fleet.runs.bags import bags_of, synthetic_bags
from bift_ros.fleet.runs.bring_up import Wishes, bring_up
from bift_ros.fleet.runs.engine_faults import Fault
from bift_ros.fleet.runs.fleet import SETTLED_SECONDS, Fleet
from bift_ros.fleet.runs.report import outcome_of
from bift_ros.fleet.runs.signals import undisturbed
from bift_ros.fleet.runtimes.runtime import FleetError, Monitor
from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.jobs import EvaluateJob
from bift_ros.monitoring.status import Statuses
from bift_ros.storage.stored_files import StoredFiles

_TEST_CROPS = 2000


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


class Trial:
    """Brings a fleet up, follows it to the end of its task, and takes it down."""

    def __init__(
        self,
        file: Path,
        root: Path,
        wishes: Wishes,
        console: Console,
        fault_of: Callable[[Fleet], Fault | None] = lambda _: None,
    ) -> None:
        """`root` is the folder of fleets; `fault_of` makes what is to befall this one."""
        self._file, self._root, self._wishes, self._console = file, root, wishes, console
        self._fault_of = fault_of
        self._seconds: dict[int, dict[str, float]] = {}
        self._peak_mb = 0

    def run(self, timeout: float) -> TrialResult:
        """Run it. Raises FleetError, also where it takes longer than `timeout` seconds."""
        wishes = self._wishes
        description = load_description(self._file, wishes.vehicles, wishes.iterations)
        bags = self._root / "bags"
        bags_of(description, bags, self._console)
        began = time.monotonic()
        fleet = bring_up(str(self._file), self._root, wishes, self._console, bags)
        try:
            fault = self._fault_of(fleet)
            with fleet.listening() as monitor:
                fleet.wait(monitor, timeout, self._note)
                up_at = time.monotonic()
                self._console.print(f"up after {up_at - began:.1f} s")
                tips = self._follow(fleet, monitor, fault, began + timeout)
            ended_at = time.monotonic()
            fleet.down(keep_data=True)
            down_at = time.monotonic()
            honest = next(v.name for v in description.vehicles if not v.malicious)
            verified, accuracy = self._judge(fleet, honest)
        finally:
            with undisturbed(), suppress(FleetError):
                fleet.down(keep_data=False)
        consensus = tuple(max(s.values()) for _, s in sorted(self._seconds.items()))
        return TrialResult(
            vehicles=len(description.vehicles),
            malicious=sum(bool(v.malicious) for v in description.vehicles),
            fault=type(fault).__name__.lower() if fault is not None else "none",
            victims=fault.victims if fault is not None else (),
            up_seconds=round(up_at - began, 1),
            learn_seconds=round(ended_at - up_at, 1),
            iterations=len(consensus),
            agreed=len(tips) == 1,
            verified=verified,
            consensus_seconds=tuple(round(s, 2) for s in consensus),
            consensus_median=round(statistics.median(consensus), 2),
            peak_rss_mb=self._peak_mb,
            accuracy=round(accuracy, 4),
            down_seconds=round(down_at - ended_at, 1),
        )

    def _follow(
        self, fleet: Fleet, monitor: Monitor, fault: Fault | None, deadline: float
    ) -> set[str]:
        """Wait for the task's end; the tips on which the vehicles then stand."""
        one_since = None
        for statuses in fleet.statuses(monitor):
            self._note(statuses)
            if fault is not None:
                fault.step(statuses)
            tips = {status.chain.tip if status else "" for status in statuses.values()}
            done = all(s and s.task.is_done for s in statuses.values())
            if not done or len(tips) > 1 or (fault is not None and not fault.over):
                one_since = None
            elif one_since is None:
                one_since = time.monotonic()
            elif time.monotonic() - one_since >= SETTLED_SECONDS:
                break
            if time.monotonic() > deadline:
                stand = ", ".join(
                    f"{name} {status.task.current_iter if status else None}"
                    for name, status in statuses.items()
                )
                raise FleetError(f"the task is not done in time; iterations: {stand}")
        return tips

    def _note(self, statuses: Statuses) -> None:
        """Keep the seconds of every iteration as each vehicle told them first."""
        for name, status in statuses.items():
            if status is None:
                continue
            self._peak_mb = max(self._peak_mb, status.resources.peak_rss_mb)
            iteration = status.task.current_iter
            if iteration and name not in self._seconds.setdefault(iteration, {}):
                self._seconds[iteration][name] = status.training.consensus_seconds
                if len(self._seconds[iteration]) == 1:
                    self._console.print(f"iteration {iteration}/{status.task.total_iter}")

    def _judge(self, fleet: Fleet, vehicle: str) -> tuple[bool, float]:
        """Verify a vehicle's chain; the accuracy of its last global model on a test set."""
        genesis = load_genesis(fleet.folder.vehicles / "genesis.json")
        with fleet.data_of(vehicle) as folder:
            outcome = outcome_of(vehicle, folder, genesis)
            task = outcome.state.latest_task
            if task is None:
                raise FleetError(f"the chain of {vehicle} has no task")
            folders = VehicleFolders(folder)
            model = StoredFiles(folders.storage, folders.kubo).get(task.global_cid)
            architecture = task.proposal.architecture
        seed = 1_000_003  # of no vehicle's bag
        bags = synthetic_bags(1, 1, seed, self._root / "bags", self._console, _TEST_CROPS)
        worker = TrainingWorker(device="cpu", threads=1, allowed_architectures=(architecture,))
        worker.start()
        try:
            job = EvaluateJob(model, bags / "test", architecture)
            accuracy = worker.submit(job).result().accuracy
        finally:
            worker.close()
        return outcome.problem is None, accuracy
