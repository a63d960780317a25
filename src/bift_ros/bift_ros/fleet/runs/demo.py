"""The main job: a fleet on this host replays its bags and learns one model (`make demo`)."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from bift_ros.consensus.genesis import RULE_OF_MODE, Policy
from bift_ros.dashboard.server import DashboardError
from bift_ros.fleet.runs import display, report
from bift_ros.fleet.runs.bags import find_bags, synthetic_bags
from bift_ros.fleet.runs.evaluation import Evaluator
from bift_ros.fleet.runs.fleet import SETTLED_SECONDS
from bift_ros.fleet.runs.live_dashboard import live_dashboard
from bift_ros.fleet.runs.reading import ModelReader
from bift_ros.fleet.runs.scenario import Scenario
from bift_ros.fleet.runtimes.plan import FleetPlan, FleetSettings, prepare
from bift_ros.fleet.runtimes.processes import ProcessFleet
from bift_ros.identity.vehicle_names import vehicle_name
from bift_ros.monitoring.status import Statuses, VehicleStatus
from bift_ros.nodes.observer.monitor import FleetMonitor
from bift_ros.perception.bag_info import bag_info
from bift_ros.storage.kubo.daemon import find_ipfs

ARCHITECTURE = "bift_ros.learning.models:traffic_light_cnn"
_REPLAY_SECONDS = 12.0
_STALLED_SECONDS = 300.0


class DemoError(Exception):
    """The demo cannot run or did not come to its end; says why and where to look."""


@dataclass(frozen=True)
class DemoOptions:
    """The variables of `make demo`."""

    vehicles: int | None = None
    """How many; None: five, or as many as there are bags."""
    iterations: int = 10
    bags: Path | None = None
    """Folder with one bag per vehicle and `test/`; None: synthesized ones."""
    mode: str = "bift"
    """The consensus mode."""
    rule: str | None = None
    """The aggregation rule; None: the mode's."""
    encrypt: bool = False
    """Whether models and updates are encrypted for the members."""
    storage: str = "embedded"
    """Where the vehicles keep their files: embedded, or kubo."""
    device: str = "auto"
    seed: int = 0
    frames: int = 500
    """Frames per vehicle of synthesized bags."""
    local_epochs: int = 10
    out: Path = Path("out/demo")
    dashboard: bool = False
    """Whether a page shows the fleet while it runs."""


class Demo:
    """One run. What it has learnt about the fleet is kept here while it goes on."""

    def __init__(
        self, options: DemoOptions, console: Console, scenario: Scenario | None = None
    ) -> None:
        self._options, self._console = options, console
        self._scenario = scenario or Scenario()
        self._iterations: dict[int, dict[str, VehicleStatus]] = {}

    def run(self) -> dict[str, Any]:
        """Run to the end and return the report, which is also written.

        Raises DemoError, and StorageError where the storage cannot be had.
        """
        started = time.monotonic()
        options = self._options
        if options.storage == "kubo":
            find_ipfs()
        bags, test_set = self._bags()
        options.out.mkdir(parents=True, exist_ok=True)
        fleet_folder = options.out / "fleet"
        shutil.rmtree(fleet_folder, ignore_errors=True)
        names = [vehicle_name(n) for n in range(len(bags))]
        with self._scenario.surroundings(names) as environment:
            plan = prepare(fleet_folder, self._settings(bags))
            evaluator = Evaluator(
                fleet_folder / "evaluator",
                test_set,
                ARCHITECTURE,
                options.device,
                ModelReader(plan.vehicles[0].folder, plan.genesis),
            )
            try:
                statuses = self._run_fleet(plan, environment, evaluator)
                evaluator.wait(timeout=120)
            finally:
                evaluator.close()
        return self._report(plan, statuses, evaluator, time.monotonic() - started)

    def _run_fleet(
        self, plan: FleetPlan, environment: Mapping[str, str], evaluator: Evaluator
    ) -> Statuses:
        """Run the vehicles until the task is done; what each of them said last."""
        monitor = FleetMonitor()
        try:
            for vehicle in plan.vehicles:
                monitor.watch(vehicle.name)
            with (
                self._dashboard(),
                ProcessFleet(plan, environment, self._scenario.namespaces) as fleet,
            ):
                self._follow(plan, fleet, monitor, evaluator)
                return monitor.vehicles
        finally:
            monitor.close()

    @contextmanager
    def _dashboard(self) -> Iterator[None]:
        """The page, for as long as the fleet runs; the demo goes on where there can be none."""
        with ExitStack() as stack:
            if self._options.dashboard:
                try:
                    url = stack.enter_context(live_dashboard(self._options.out))
                    self._console.print(f"The fleet's page: {url}")
                except DashboardError as error:
                    self._console.print(f"no dashboard: {error}")
            yield

    def _bags(self) -> tuple[tuple[Path, ...], Path]:
        """Each vehicle's bag and the test set."""
        options = self._options
        if options.bags is not None:
            return find_bags(options.bags, options.vehicles)
        folder = synthetic_bags(
            options.vehicles or 5, options.frames, options.seed, options.out / "bags", self._console
        )
        return find_bags(folder, options.vehicles)

    def _settings(self, bags: tuple[Path, ...]) -> FleetSettings:
        options = self._options
        return FleetSettings(
            policy=Policy(
                minimum_updates=max(1, len(bags) // 2 + 1),
                mode=options.mode,
                rule=options.rule or RULE_OF_MODE[options.mode],
                encrypt_models=options.encrypt,
                **self._scenario.policy,
            ),
            timestamp=time.time_ns() // 1_000_000,
            bags=bags,
            replay_rate=max(1.0, bag_info(bags[0]).duration_s / _REPLAY_SECONDS),
            task={
                "task.total_iter": options.iterations,
                "task.architecture": ARCHITECTURE,
                "task.local_epochs": options.local_epochs,
                "task.seed": options.seed,
            },
            storage=options.storage,
            device=options.device,
            seed=options.seed,
            vehicles={
                name: {"vehicle": self._scenario.vehicle_settings(name)}
                for name in map(vehicle_name, range(len(bags)))
            },
        )

    def _follow(
        self, plan: FleetPlan, fleet: ProcessFleet, monitor: FleetMonitor, evaluator: Evaluator
    ) -> None:
        """Show progress until every vehicle stands at the task's end. Raises DemoError."""
        moved_at, height = time.monotonic(), -1
        agreed_at, agreed_on = 0.0, ""
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:
            while True:
                finished = monitor.wait(self._finished, timeout=0.25)
                vehicles = monitor.vehicles
                self._note(vehicles, monitor, evaluator)
                self._scenario.step(fleet, monitor)
                live.update(self._picture(vehicles, evaluator))
                if finished:
                    (tip,) = {s.chain.tip for s in vehicles.values() if s}
                    if tip != agreed_on:
                        agreed_at, agreed_on = time.monotonic(), tip
                    elif time.monotonic() - agreed_at >= SETTLED_SECONDS:
                        return
                    time.sleep(0.25)
                else:
                    agreed_on = ""
                for name, code in fleet.ended().items():
                    raise DemoError(
                        f"{name} ended with status {code}; its log: {fleet.log_of(name)}\n"
                        + _tail(fleet.log_of(name))
                    )
                now_height = sum(
                    s.chain.height + s.dataset.frames_seen for s in vehicles.values() if s
                )
                if now_height != height:
                    moved_at, height = time.monotonic(), now_height
                if time.monotonic() - moved_at > _STALLED_SECONDS:
                    raise DemoError(
                        f"no vehicle has seen a frame or block for {_STALLED_SECONDS:.0f} s; "
                        f"the logs are in {plan.genesis_file.parent}"
                    )

    def _finished(self, vehicles: Statuses) -> bool:
        """Whether all stand on one tip with the task at its end, and nothing more befalls them."""
        return (
            self._scenario.over
            and all(s and s.task.is_done for s in vehicles.values())
            and len({s.chain.tip for s in vehicles.values() if s}) == 1
        )

    def _note(self, vehicles: Statuses, monitor: FleetMonitor, evaluator: Evaluator) -> None:
        for name, status in vehicles.items():
            number = status.task.current_iter if status else 0
            if status and number > 0 and name not in self._iterations.setdefault(number, {}):
                self._iterations[number][name] = status
                evaluator.evaluate(number, status.task.global_cid, monitor.providers)
                if not self._console.is_terminal and len(self._iterations[number]) == 1:
                    self._console.print(display.iteration_line(status))

    def _picture(self, vehicles: Statuses, evaluator: Evaluator) -> Any:
        slowest = {
            number: max(statuses.values(), key=lambda s: s.training.consensus_seconds)
            for number, statuses in self._iterations.items()
        }
        options = self._options
        headline = (
            f"{len(vehicles)} vehicles, consensus mode {options.mode}, "
            f"rule {options.rule or RULE_OF_MODE[options.mode]}, storage {options.storage}; "
            "Ctrl-C stops them all"
        )
        return display.progress(headline, vehicles, slowest, dict(evaluator.accuracy))

    def _report(
        self,
        plan: FleetPlan,
        statuses: Statuses,
        evaluator: Evaluator,
        seconds: float,
    ) -> dict[str, Any]:
        outcomes = [report.outcome_of(v.name, v.folder, plan.genesis) for v in plan.vehicles]
        settings = {v.name: self._scenario.vehicle_settings(v.name) for v in plan.vehicles}
        malicious = {n: s["malicious"] for n, s in settings.items() if "malicious" in s}
        result = report.build(
            outcomes,
            plan.genesis,
            statuses,
            self._iterations,
            evaluator.accuracy,
            malicious,
            seconds,
        )
        out = self._options.out
        (out / "report.json").write_text(json.dumps(result, indent=2) + "\n")
        report.plot_accuracy(result, out / "accuracy.png")
        slowest = {
            n: max(s.values(), key=lambda x: x.training.consensus_seconds)
            for n, s in self._iterations.items()
        }
        self._console.print(display.iteration_table(slowest, evaluator.accuracy))
        self._console.print(report.final_table(result))
        for number, error in evaluator.errors.items():
            self._console.print(f"iteration {number} was not measured: {error}")
        self._console.print(f"Written: {out / 'report.json'}, {out / 'accuracy.png'}")
        return result


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
