"""A fleet from its start to its task's end: what `demo`, `chaos` and `bench fleet` run."""

from __future__ import annotations

import time
from collections.abc import Callable

from bift_ros.fleet.runs.evaluation import Evaluator
from bift_ros.fleet.runs.faults import Fault, on_one_tip
from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runtimes.runtime import FleetError, Monitor
from bift_ros.monitoring.status import Statuses, VehicleStatus

SETTLED_SECONDS = 4.0
"""How long all must stand on one tip: two equal branches are told apart by tips 3 s apart."""
_STALLED_SECONDS = 300.0
_LAST_LINES = 15


class Run:
    """Follows a fleet that was brought up. What it has learnt of the fleet is kept here."""

    def __init__(self, fleet: Fleet, fault: Fault, evaluator: Evaluator | None = None) -> None:
        """`evaluator` measures every iteration's global model."""
        self._fleet, self._fault, self._evaluator = fleet, fault, evaluator
        self.statuses: Statuses = {}
        """What each vehicle said last."""
        self.iterations: dict[int, dict[str, VehicleStatus]] = {}
        """By iteration and vehicle: the status in which the vehicle first stood on its model."""
        self.peak_rss_mb = 0
        """The largest of all vehicles'."""
        self._tip, self._one_tip_since = "", 0.0
        self._progress, self._progress_at = -1, time.monotonic()

    def follow(
        self,
        monitor: Monitor,
        show: Callable[[Statuses], None],
        deadline: float | None = None,
    ) -> None:
        """Wait until every vehicle stands at the task's end and no fault is left to come.

        `deadline` is in monotonic seconds. Raises FleetError where the fleet doesn't get there.
        """
        for statuses in self._fleet.statuses(monitor):
            self.note(statuses)
            self._fault.step(self._fleet, statuses)
            show(statuses)
            if self._is_done(statuses):
                return
            self._check(statuses, deadline)

    def note(self, statuses: Statuses) -> None:
        """Keep what the vehicles say."""
        self.statuses = {n: s or self.statuses.get(n) for n, s in statuses.items()}
        for name, status in statuses.items():
            if status is None:
                continue
            self.peak_rss_mb = max(self.peak_rss_mb, status.resources.peak_rss_mb)
            number = status.task.current_iter
            if number > 0 and name not in self.iterations.setdefault(number, {}):
                self.iterations[number][name] = status
                if self._evaluator is not None:
                    self._evaluator.evaluate(number, name, status.task.global_cid)

    @property
    def slowest(self) -> dict[int, VehicleStatus]:
        """Of each iteration, the status of the vehicle whose consensus took longest."""
        return {
            number: max(statuses.values(), key=lambda status: status.training.consensus_seconds)
            for number, statuses in sorted(self.iterations.items())
            if statuses
        }

    def _is_done(self, statuses: Statuses) -> bool:
        """Whether all have stood on one tip for a while, with the task at its end."""
        done = (
            self._fault.over
            and on_one_tip(statuses)
            and all(status.task.is_done for status in statuses.values() if status)
        )
        tip = next(status.chain.tip for status in statuses.values() if status) if done else ""
        if tip != self._tip:
            self._tip, self._one_tip_since = tip, time.monotonic()
        return done and time.monotonic() - self._one_tip_since >= SETTLED_SECONDS

    def _check(self, statuses: Statuses, deadline: float | None) -> None:
        """Raise FleetError where a vehicle has ended by itself, nobody moves, or time is up."""
        if not all(statuses.values()):
            for name in self._fleet.ended:
                if name not in self._fault.down:
                    lines = [line for _, line in self._fleet.logs([name], follow=False)]
                    last = "\n".join(lines[-_LAST_LINES:])
                    raise FleetError(f"{name} has ended; the last lines of its log:\n{last}")
        now = time.monotonic()
        progress = sum(s.chain.height + s.dataset.frames_seen for s in statuses.values() if s)
        if progress != self._progress:
            self._progress, self._progress_at = progress, now
        if now - self._progress_at > _STALLED_SECONDS:
            raise FleetError(
                f"no vehicle has seen a frame or block for {_STALLED_SECONDS:.0f} s; "
                f"the logs are in {self._fleet.folder.vehicles}"
            )
        if deadline is not None and now > deadline:
            stand = ", ".join(
                f"{n} {s.task.current_iter if s else 'silent'}" for n, s in statuses.items()
            )
            raise FleetError(f"the task is not done in time; iterations: {stand}")
