"""A fleet of three vehicles' processes that is attacked while it learns, and watched meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bift_ros.consensus.genesis import Policy
from bift_ros.fleet.description.fleet import FleetDescription, TaskDescription, VehicleDescription
from bift_ros.fleet.runtimes.folder import FleetFolder, key_file, vehicle_log
from bift_ros.fleet.runtimes.process_runtime import ProcessRuntime
from bift_ros.identity.keyfile import load_key
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.nodes.client.vehicle_client import VehicleClient, VehicleUnreachableError
from bift_ros.peer.owner_requests import START_MINING, OwnerRequest

HONEST = ("vehicle_00", "vehicle_01", "vehicle_02")
LIAR = "vehicle_03"
"""A member whose process doesn't run: its key is the attackers'."""
ANSWER_SECONDS = 60.0
_PERIOD = 0.25
_PROBE_PERIOD = 0.3


def description(members: Sequence[str], iterations: int) -> FleetDescription:
    """Small, so that an iteration takes some seconds."""
    return FleetDescription(
        "attacked",
        tuple(VehicleDescription(name, device="cpu") for name in members),
        TaskDescription(iterations=iterations, local_epochs=3),
        Policy(difficulty=8, update_wait_ms=2_000),
        seed=5,
        replay_rate=10.0,
    )


@dataclass(frozen=True)
class Sample:
    """One vehicle at one moment."""

    at: float
    rss: int
    """Bytes of its process and of all that it has started."""
    main_rss: int
    iteration: int
    log: int
    """Bytes of its log."""
    disk: int
    """Bytes of its folder, but for the log."""
    samples: int
    """Of its dataset."""


@dataclass
class Watched:
    """What was seen of one vehicle."""

    samples: list[Sample] = field(default_factory=list)
    answers: list[tuple[float, float]] = field(default_factory=list)
    """When its owner asked something, and the seconds until it was answered."""
    ended: bool = False

    def between(self, since: float, until: float) -> list[Sample]:
        return [sample for sample in self.samples if since <= sample.at <= until]

    def peak_rss(self, since: float = 0.0, until: float = float("inf")) -> int:
        return max((sample.rss for sample in self.between(since, until)), default=0)

    def longest_pause(self, since: float, until: float) -> float:
        """The longest time without another iteration, in seconds."""
        longest, last_at, last = 0.0, since, None
        for sample in self.between(since, until):
            if last is not None and sample.iteration > last:
                longest, last_at = max(longest, sample.at - last_at), sample.at
            last = sample.iteration
        return longest  # what follows the last iteration of all is none

    def worst_answer(self, since: float, until: float) -> float:
        return max((s for at, s in self.answers if since <= at <= until), default=0.0)


class AttackedFleet:
    """The three vehicles; `watch` tells how they are."""

    def __init__(self, runtime: ProcessRuntime, folder: FleetFolder) -> None:
        self.runtime, self.folder = runtime, folder
        self.pids = {name: runtime.children[name].pid for name in HONEST}
        self.seen = {name: Watched() for name in HONEST}
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def environment(self) -> Mapping[str, str]:
        return self.runtime.environment

    def statuses(self) -> dict[str, VehicleStatus | None]:
        with self.runtime.monitor() as monitor:
            found = monitor.vehicles
        return {name: found[name] for name in HONEST}

    def iteration(self) -> int:
        """That which every vehicle has reached."""
        statuses = self.statuses().values()
        return min(s.task.current_iter if s is not None else 0 for s in statuses)

    def wait_for(self, iteration: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.iteration() < iteration:
            assert time.monotonic() < deadline, f"at iteration {self.iteration()}, not {iteration}"
            time.sleep(0.1)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Measure, and ask each vehicle as its owner, in threads."""
        with ExitStack() as stack:
            for name in HONEST:
                client = stack.enter_context(VehicleClient(name, ANSWER_SECONDS))
                genesis = client.state().genesis_hash  # and its node is made, in this thread
                self._start(self._ask, name, client, genesis)
            self._start(self._measure)
            try:
                yield
            finally:
                self._closing.set()
                for thread in self._threads:
                    thread.join()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _ask(self, name: str, client: VehicleClient, genesis_hash: bytes) -> None:
        key = load_key(key_file(self.folder.vehicle(name)), None)
        answers = self.seen[name].answers
        while not self._closing.wait(_PROBE_PERIOD):
            began = time.monotonic()
            try:
                if len(answers) % 4 == 0:
                    client.owner_job(key, genesis_hash, OwnerRequest(START_MINING))
                else:
                    client.state()
            except VehicleUnreachableError:
                answers.append((began, float("inf")))
            else:
                answers.append((began, time.monotonic() - began))

    def _measure(self) -> None:
        processes = {name: psutil.Process(pid) for name, pid in self.pids.items()}
        disk = dict.fromkeys(HONEST, 0)
        last_disk = 0.0
        while not self._closing.wait(_PERIOD):
            now = time.monotonic()
            statuses = self.statuses()
            if now - last_disk > 1.0:
                disk, last_disk = {n: _disk(self.folder.vehicle(n)) for n in HONEST}, now
            for name, process in processes.items():
                seen, status = self.seen[name], statuses[name]
                try:
                    main = process.memory_info().rss
                    children = _rss(process.children(recursive=True))
                except psutil.NoSuchProcess:
                    seen.ended = True
                    continue
                before = seen.samples[-1] if seen.samples else None
                seen.samples.append(
                    Sample(
                        now,
                        main + children,
                        main,
                        status.task.current_iter if status else before.iteration if before else 0,
                        vehicle_log(self.folder.vehicle(name)).stat().st_size,
                        disk[name],
                        status.dataset.samples if status else before.samples if before else 0,
                    )
                )


def _rss(processes: list[psutil.Process]) -> int:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _disk(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            if name != "vehicle.log":
                try:
                    total += 512 * os.stat(os.path.join(root, name)).st_blocks
                except FileNotFoundError:
                    continue
    return total


@contextmanager
def attacked_fleet(
    folder: Path, bags: Path, iterations: int, with_liar: bool = False
) -> Iterator[AttackedFleet]:
    """Start the vehicles and wait for the first model.

    `with_liar`: there is a fourth member, whose process is ended at once.
    """
    runtime = ProcessRuntime(FleetFolder(folder), attached=True)
    members = (*HONEST, LIAR) if with_liar else HONEST
    try:
        paths = [bags / (name if name in HONEST else HONEST[0]) for name in members]
        runtime.up(description(members, iterations), paths, lambda _: None)
        if with_liar:
            runtime.kill([LIAR])
        attacked = AttackedFleet(runtime, FleetFolder(folder))
        attacked.wait_for(1, 240)  # a busy machine takes long to start
        yield attacked
    finally:
        runtime.down(keep_data=True)
