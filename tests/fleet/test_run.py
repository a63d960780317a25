"""How a run goes: its end, what ends it early, and its faults, with a fleet that is made up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bift_ros.chain.store import ChainStore
from bift_ros.consensus.genesis import Genesis, Member, Policy, save_genesis
from bift_ros.fleet.runs import fleet as fleet_module
from bift_ros.fleet.runs import partition as partition_module
from bift_ros.fleet.runs import run as run_module
from bift_ros.fleet.runs.faults import Fault
from bift_ros.fleet.runs.fleet import Fleet
from bift_ros.fleet.runs.kill import Kill, KillFault
from bift_ros.fleet.runs.partition import Partition, PartitionFault
from bift_ros.fleet.runs.run import Run
from bift_ros.fleet.runtimes.folder import FleetFolder, FleetRecord, write_record
from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.identity.keys import KeyPair
from bift_ros.monitoring.status import ChainStatus, TaskStatus, VehicleStatus

NAMES = ("vehicle_00", "vehicle_01", "vehicle_02")


def status(name: str, iteration: int, tip: str = "aa", height: int = 0) -> VehicleStatus:
    return VehicleStatus(
        name,
        state="idle",
        chain=ChainStatus(tip=tip, height=height),
        task=TaskStatus(current_iter=iteration, total_iter=3, global_cid="cid"),
    )


def all_at(iteration: int, tip: str = "aa") -> dict[str, VehicleStatus | None]:
    return {name: status(name, iteration, tip) for name in NAMES}


class MadeUp:
    """A runtime, and a monitor that says one thing after the other, the last again and again."""

    def __init__(self, folder: Path) -> None:
        self.said: list[dict[str, VehicleStatus | None]] = [all_at(0)]
        self.ended: set[str] = set()
        self.done: list[Any] = []
        self._folder = folder

    @property
    def vehicles(self) -> dict[str, VehicleStatus | None]:
        return self.said.pop(0) if len(self.said) > 1 else self.said[0]

    def running(self) -> list[str]:
        return [name for name in NAMES if name not in self.ended]

    def logs(self, vehicles: Sequence[str], follow: bool) -> Iterator[tuple[str, str]]:
        for name in vehicles:
            yield from ((name, f"line {n}") for n in range(30))

    @contextmanager
    def data(self, vehicle: str) -> Iterator[Path]:
        yield self._folder / vehicle

    def kill(self, vehicles: Sequence[str]) -> None:
        self.done.append(("kill", tuple(vehicles)))
        self.ended |= set(vehicles)

    def restart(self, vehicles: Sequence[str]) -> None:
        self.done.append(("restart", tuple(vehicles)))
        self.ended -= set(vehicles)

    def disconnect(self, vehicles: Sequence[str]) -> None:
        self.done.append(("disconnect", tuple(vehicles)))

    def connect(self) -> None:
        self.done.append("connect")


@pytest.fixture
def genesis() -> Genesis:
    members = (Member(NAMES[0], KeyPair.from_seed(bytes(32)).public_key),)
    return Genesis("test", 0, members, Policy(minimum_updates=1))


@pytest.fixture
def made_up(tmp_path: Path, genesis: Genesis, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    folder = FleetFolder(tmp_path)
    write_record(folder, FleetRecord("town", "process", "town.yaml", NAMES))
    folder.vehicles.mkdir()
    save_genesis(folder.genesis, genesis)
    monkeypatch.setattr(fleet_module, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(run_module, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(partition_module, "_STATUS_PERIOD_SECONDS", 0.0)
    return MadeUp(folder.vehicles)


@pytest.fixture
def fleet(made_up: MadeUp, tmp_path: Path) -> Fleet:
    return Fleet(FleetFolder(tmp_path), made_up)  # type: ignore[arg-type]


def follow(fleet: Fleet, made_up: MadeUp, fault: Fault | None = None, **more: Any) -> Run:
    run = Run(fleet, fault or Fault())
    run.follow(made_up, lambda _: None, **more)  # type: ignore[arg-type]
    return run


def test_a_run_ends_with_its_task_and_keeps_each_iteration(fleet: Fleet, made_up: MadeUp) -> None:
    late = {**all_at(3), "vehicle_02": status("vehicle_02", 2)}
    apart = {**all_at(3), "vehicle_02": status("vehicle_02", 3, tip="bb")}
    made_up.said = [dict.fromkeys(NAMES), all_at(1), all_at(2), late, apart, all_at(3)]
    run = follow(fleet, made_up)
    assert {number: set(by) for number, by in run.iterations.items()} == {
        number: set(NAMES) for number in (1, 2, 3)
    }
    assert run.statuses == all_at(3)
    assert made_up.said == [all_at(3)]


def test_a_vehicle_that_ends_by_itself_ends_the_run(fleet: Fleet, made_up: MadeUp) -> None:
    made_up.said = [{**all_at(1), "vehicle_01": None}]
    made_up.ended = {"vehicle_01"}
    with pytest.raises(FleetError, match=r"^vehicle_01 has ended; .*\nline 15\n(.*\n)*line 29$"):
        follow(fleet, made_up)


def test_a_run_that_takes_too_long_says_where_it_is(fleet: Fleet, made_up: MadeUp) -> None:
    made_up.said = [{**all_at(1), "vehicle_01": None}]
    with pytest.raises(FleetError, match=r"not done in time.*vehicle_00 1, vehicle_01 silent"):
        follow(fleet, made_up, deadline=0.0)


def test_who_was_killed_may_be_down_and_is_started_again(
    fleet: Fleet, made_up: MadeUp, genesis: Genesis, tmp_path: Path
) -> None:
    data = tmp_path / "vehicles" / "vehicle_01"
    data.mkdir()
    ChainStore(data / "chain.sqlite", genesis).close()
    tip = genesis.hash.hex()
    gone = {**all_at(1, tip), "vehicle_01": None}
    made_up.said = [all_at(0, tip), all_at(1, tip), gone, gone, all_at(1, tip), all_at(3, tip)]
    fault = KillFault([Kill(1, ("vehicle_01",), 0.0, 0.0)])
    follow(fleet, made_up, fault)
    assert made_up.done == [("kill", ("vehicle_01",)), ("restart", ("vehicle_01",))]
    assert [event.text for event in fault.events] == [
        "killed vehicle_01 after iteration 1 while idle, at height 0",
        "restarted vehicle_01 after 0.0 s",
        "vehicle_01 is back at height 0",
    ]
    assert fault.problems == []


def test_a_block_that_a_killed_vehicle_had_and_lost_is_a_problem(
    fleet: Fleet, made_up: MadeUp, genesis: Genesis
) -> None:
    had = {name: status(name, 1, "cc" * 32, height=4) for name in NAMES}
    end = {name: status(name, 3, "cc" * 32, height=4) for name in NAMES}
    made_up.said = [had, had, end]
    fault = KillFault([Kill(1, ("vehicle_01",), 0.0, 0.0)])
    follow(fleet, made_up, fault)
    (problem,) = fault.problems
    assert "vehicle_01 lost blocks when it was killed: it had reported height 4" in problem


def test_a_partition_is_healed_two_iterations_later(fleet: Fleet, made_up: MadeUp) -> None:
    def apart(majority: int, tip: str) -> dict[str, VehicleStatus | None]:
        return {**all_at(majority, tip), "vehicle_02": status("vehicle_02", 1)}

    made_up.said = [
        all_at(0),
        all_at(1),
        all_at(1),
        apart(2, "bb"),
        apart(3, "cc"),
        all_at(3, "cc"),
    ]
    fault = PartitionFault(Partition(NAMES[:2], NAMES[2:], 1, 4))
    follow(fleet, made_up, fault)
    assert made_up.done == [("disconnect", ("vehicle_02",)), "connect"]
    assert [event.text for event in fault.events] == [
        "cut the network after iteration 1: vehicle_00, vehicle_01 | vehicle_02",
        "healed the network with the majority in iteration 3, vehicle_02 in iteration 1",
        "both sides stand on one tip, at height 0",
    ]
    assert fault.problems == []


def test_a_minority_that_goes_on_though_it_is_cut_off_is_a_problem(
    fleet: Fleet, made_up: MadeUp
) -> None:
    made_up.said = [all_at(1), all_at(1), all_at(3), all_at(3)]
    fault = PartitionFault(Partition(NAMES[:2], NAMES[2:], 1, 4))
    follow(fleet, made_up, fault)
    assert fault.problems == ["vehicle_02 was cut off, and yet it reached iteration 3"]


def test_a_cut_that_leaves_no_time_to_heal_is_a_problem(fleet: Fleet, made_up: MadeUp) -> None:
    made_up.said = [all_at(1), all_at(3)]
    fault = PartitionFault(Partition(NAMES[:2], NAMES[2:], 1, 3))
    follow(fleet, made_up, fault)
    assert "the cut came after iteration 3, too late" in fault.problems[0]
