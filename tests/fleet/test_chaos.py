"""What chaos does when, and what it says of it: the parts that need no fleet."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

pytest.importorskip("rclpy", reason="the room needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.chain.store import ChainStore
from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.console.main import main
from bift_ros.fleet.runs import chaos_report
from bift_ros.fleet.runs.faults import iteration_of
from bift_ros.fleet.runs.kill import KillFault, schedule
from bift_ros.fleet.runs.partition import draw_partition
from bift_ros.fleet.runs.reading import look
from bift_ros.identity.keys import KeyPair
from bift_ros.monitoring.status import TaskStatus, VehicleStatus

NAMES = [f"vehicle_0{n}" for n in range(5)]


def run_report(**changes: Any) -> dict[str, Any]:
    """A demo's report of a sound run."""
    sound = {
        "iterations": 4, "wall_seconds": 12.3, "agreed": True, "tip": "07" * 32,
        "verified": dict.fromkeys(NAMES, True), "heights": dict.fromkeys(NAMES, 5),
        "balances": dict.fromkeys(NAMES, 80), "balances_add_up": True,
        "accuracy": [0.2, 0.4, None, 0.8], "final_accuracy": 0.8,
    }  # fmt: skip
    return sound | changes


def test_deaths_follow_from_the_seed() -> None:
    assert schedule(7, NAMES, 10) == schedule(7, NAMES, 10)
    assert len({schedule(seed, NAMES, 10) for seed in range(20)}) == 20


@pytest.mark.parametrize("seed", range(20))
def test_deaths_come_in_order_and_to_everybody(seed: int) -> None:
    kills = schedule(seed, NAMES, 10)
    assert len(kills) == 5
    assert [len(k.victims) for k in kills] == [1] * 5
    assert {name for k in kills for name in k.victims} == set(NAMES)
    moments = [k.iteration for k in kills]
    assert moments == sorted(set(moments))
    assert moments[0] >= 0
    assert moments[-1] < 10
    assert all(0 <= k.delay < 1 and k.down_seconds > 0 for k in kills)


def test_the_proposer_dies_in_the_shortest_run() -> None:
    (kill,) = schedule(0, NAMES[:1], 1)
    assert kill.victims == (NAMES[0],)


def test_a_scenario_with_deaths_to_come_is_not_over() -> None:
    assert not KillFault(schedule(0, NAMES, 4)).over
    assert KillFault(()).over


@pytest.mark.parametrize("seed", range(20))
def test_a_partition_leaves_a_majority_and_time_to_heal(seed: int) -> None:
    partition = draw_partition(seed, NAMES, 6)
    assert partition == draw_partition(seed, NAMES, 6)
    assert len(partition.majority) == 3
    assert len(partition.minority) == 2
    assert sorted(partition.majority + partition.minority) == NAMES
    assert 1 <= partition.iteration <= 3


@pytest.mark.parametrize(("vehicles", "iterations"), [(2, 10), (5, 3)])
def test_a_partition_needs_vehicles_and_iterations(vehicles: int, iterations: int) -> None:
    with pytest.raises(ValueError, match="at least 3 vehicles and 4 iterations"):
        draw_partition(0, NAMES[:vehicles], iterations)


def test_bad_options_are_said_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chaos", "--bags", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "./bift bag synth" in capsys.readouterr().err


def test_the_fleet_is_where_its_foremost_vehicle_is() -> None:
    assert iteration_of([]) == 0
    b, c = (
        VehicleStatus(name, task=TaskStatus(current_iter=n)) for name, n in (("b", 2), ("c", 1))
    )
    assert iteration_of([None, b, c]) == 2


def test_a_chain_on_disk_has_what_it_has(tmp_path: Path) -> None:
    key = KeyPair.from_seed(bytes(32))
    genesis = Genesis("test", 0, (Member("vehicle_00", key.public_key),), Policy(minimum_updates=1))
    assert look(tmp_path, genesis, [genesis.hash, b"x" * 32]).missing == (b"x" * 32,)
    ChainStore(tmp_path / "chain.sqlite", genesis).close()
    found = look(tmp_path, genesis, [genesis.hash, b"x" * 32])
    assert (found.height, found.missing) == (0, (b"x" * 32,))


def test_a_sound_run_held() -> None:
    part = chaos_report.scenario_report(run_report(), [{"seconds": 1.0, "text": "a | b"}], [], 4)
    assert part["held"] is True
    assert part["problems"] == []
    report = {"held": True, "scenarios": {"kill": part}}
    assert json.loads(json.dumps(report)) == report
    text = chaos_report.markdown(report)
    assert "Everything held: **yes**" in text
    assert "20.0% 40.0% – 80.0%" in text
    assert "| 1.0 | a \\| b |" in text
    assert "Problem" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"agreed": False}, "different tips: vehicle_00 at 5"),
        ({"iterations": 3}, "3 iterations were made, not 4"),
        ({"verified": {"vehicle_02": "block 2: bad"}}, "vehicle_02 does not verify: block 2: bad"),
        ({"balances_add_up": False}, "balances"),
    ],
)
def test_what_did_not_hold_is_said(changes: dict[str, Any], said: str) -> None:
    part = chaos_report.scenario_report(run_report(**changes), [], [], 4)
    assert part["held"] is False
    assert said in part["problems"][0]
    report = {"held": False, "scenarios": {"kill": part}}
    assert f"**Problem:** {part['problems'][0]}" in chaos_report.markdown(report)
    assert "NO" in shown(report)


def test_a_scenario_that_could_not_run_did_not_hold() -> None:
    part = chaos_report.scenario_report({}, [], ["run it as root"], 4)
    assert part["held"] is False
    assert part["problems"] == ["run it as root"]
    assert chaos_report.scenario_report({}, [], [], 4)["held"] is False
    report = {"held": False, "scenarios": {"partition": part}}
    assert "run it as root" in chaos_report.markdown(report)
    assert "NO" in shown(report)


def test_losing_a_block_is_a_problem_though_all_agree() -> None:
    part = chaos_report.scenario_report(run_report(), [], ["vehicle_01 lost blocks"], 4)
    assert part["held"] is False


def shown(report: dict[str, Any]) -> str:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as captured:
        console.print(chaos_report.table(report))
    return captured.get()
