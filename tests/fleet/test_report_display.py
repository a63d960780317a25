"""What the report says of a run, sound or not, and how it looks to a person."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

pytest.importorskip("rclpy", reason="the room needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.chain.verification import Verification
from bift_ros.consensus.blocks import ModelInfo
from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.consensus.payloads import ProposeTask
from bift_ros.consensus.state import Iteration, State, Task, initial_state
from bift_ros.fleet.runs import display, report
from bift_ros.identity.keys import KeyPair
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.monitoring.status_json import status_from_json, status_json
from bift_ros.storage.cid import cid_of

KEYS = [KeyPair.from_seed(bytes([n] * 32)) for n in range(3)]
NAMES = ["vehicle_00", "vehicle_01", "vehicle_02"]
GENESIS = Genesis(
    "test",
    0,
    tuple(Member(name, key.public_key) for name, key in zip(NAMES, KEYS, strict=True)),
    Policy(reward=20),
)


def finished_state() -> State:
    """After two iterations: all three contributed to the first, two to the second."""
    addresses = [key.address for key in KEYS]
    last = Iteration(2, cid_of(b"2"), 0.75, "bulyan", tuple(sorted(addresses[:2])))
    proposal = ProposeTask("lights", cid_of(b"0"), 2, "mixed", "a:b", 1, 1, 0.1, "sgd")
    return replace(
        initial_state(GENESIS),
        height=3,
        tip_hash=bytes([7] * 32),
        last_task=Task(proposal, addresses[0], last=last),
        balances=dict(zip(addresses, (40, 40, 20), strict=True)),
    )


def status(name: str, **fields: Any) -> VehicleStatus:
    return status_from_json({"name": name, **fields})


def statuses() -> dict[str, VehicleStatus]:
    return {
        name: status(
            name, samples=100 + n, update_bytes=5000, peak_rss_mb=300, state="idle", height=3,
            tip="07" * 32, training_seconds=1.0 + n, storage_seconds=0.25,
            consensus_seconds=2.0 - n, total_iter=2, rule="krum", contributors=3,
        )
        for n, name in enumerate(NAMES)
    }  # fmt: skip


def build(
    outcomes: dict[str, Verification],
    accuracy: dict[int, float] | None = None,
    malicious: dict[str, str] | None = None,
) -> Any:
    iterations = {1: statuses(), 2: statuses()}
    measured = {1: 0.6, 2: 0.8} if accuracy is None else accuracy
    return report.build(outcomes, GENESIS, statuses(), iterations, measured, malicious or {}, 12.34)


def models() -> tuple[ModelInfo, ...]:
    """What the two model blocks of `finished_state` brought."""
    addresses = sorted(key.address for key in KEYS)
    first = ModelInfo(
        "lights", cid_of(b"0"), cid_of(b"1"), 2, 1, KEYS[0].address, 0.5, "krum", tuple(addresses)
    )
    paid = tuple(sorted(key.address for key in KEYS[:2]))
    second = replace(first, global_cid=cid_of(b"2"), current_iter=2, rule="bulyan")
    return first, replace(second, accuracy=0.75, contributors=paid)


def outcomes(state: State, infos: tuple[ModelInfo, ...] | None = None) -> dict[str, Verification]:
    infos = models() if infos is None else infos
    return {name: Verification(state, infos, 100, None) for name in NAMES}


def test_a_sound_run() -> None:
    result = build(outcomes(finished_state()))
    assert result["vehicles"] == 3
    assert result["mode"] == "bift"
    assert result["iterations"] == 2
    assert result["agreed"] is True
    assert result["tip"] == "07" * 32
    assert result["height"] == 3
    assert result["accuracy"] == [0.6, 0.8]
    assert result["final_accuracy"] == 0.8
    assert result["rules"] == ["krum", "bulyan"]
    assert [sorted(c) for c in result["contributors"]] == [NAMES, NAMES[:2]]
    assert result["balances"] == dict(zip(NAMES, (40, 40, 20), strict=True))
    assert result["balances_add_up"] is True
    assert result["dataset_sizes"] == dict(zip(NAMES, (100, 101, 102), strict=True))
    assert result["update_bytes"] == 5000
    # Of each part, the slowest vehicle's.
    assert result["seconds"] == [{"training": 3.0, "storage": 0.25, "consensus": 2.0}] * 2
    assert result["peak_rss_mb"] == dict.fromkeys(NAMES, 300)
    assert result["wall_seconds"] == 12.3
    assert json.loads(json.dumps(result)) == result


def test_other_tips_are_no_agreement() -> None:
    state = finished_state()
    found = outcomes(state)
    found[NAMES[2]] = replace(found[NAMES[2]], state=replace(state, tip_hash=bytes(32)))
    assert build(found)["agreed"] is False


def test_stake_from_nowhere_does_not_add_up() -> None:
    state = finished_state()
    richer = {address: balance + 1 for address, balance in state.balances.items()}
    assert build(outcomes(replace(state, balances=richer)))["balances_add_up"] is False


def test_who_joined_by_vote_is_named_and_who_left_keeps_its_stake() -> None:
    state = finished_state()
    bus = Member("bus", KeyPair.from_seed(bytes([9] * 32)).public_key)
    gone = KEYS[2].address
    members = {a: m for a, m in state.members.items() if a != gone} | {bus.address: bus}
    first, second = models()
    changed = replace(
        state,
        members=members,
        balances={**state.balances, KEYS[0].address: 20, KEYS[1].address: 20, bus.address: 20},
    )
    infos = (first, replace(second, contributors=(bus.address,)))
    result = build(outcomes(changed, infos))
    assert result["contributors"][1] == ["bus"]
    assert result["balances"] == dict.fromkeys([*NAMES, "bus"], 20)
    assert result["balances_add_up"] is True


def test_a_chain_that_does_not_verify_is_named() -> None:
    found = outcomes(finished_state())
    found[NAMES[1]] = replace(found[NAMES[1]], problem="block 2: a file is missing")
    result = build(found)
    assert result["verified"] == {
        "vehicle_00": True, "vehicle_01": "block 2: a file is missing", "vehicle_02": True
    }  # fmt: skip
    assert "FAILED: block 2" in text_of(report.final_table(result))


def test_an_iteration_that_was_not_measured_is_null(tmp_path: Path) -> None:
    result = build(outcomes(finished_state()), {1: 0.6})
    assert result["accuracy"] == [0.6, None]
    assert result["final_accuracy"] is None
    assert "not measured" in text_of(report.final_table(result))
    report.plot_accuracy(result, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_attackers_are_named() -> None:
    result = build(outcomes(finished_state()), malicious={"vehicle_02": "label_flip"})
    assert result["malicious"] == {"vehicle_02": "label_flip"}
    assert "vehicle_02 (label_flip)" in text_of(report.final_table(result))


def test_a_run_without_a_task_has_a_report(tmp_path: Path) -> None:
    result = report.build(outcomes(initial_state(GENESIS), ()), GENESIS, {}, {}, {}, {}, 1.0)
    assert result["iterations"] == 0
    assert result["balances_add_up"] is True
    assert result["final_accuracy"] is None
    assert "0 iterations" in text_of(report.final_table(result))
    report.plot_accuracy(result, tmp_path / "plot.png")


def text_of(renderable: Any) -> str:
    console = Console(width=200, file=io.StringIO())
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def test_progress_shows_vehicles_and_iterations() -> None:
    vehicles: dict[str, VehicleStatus | None] = {**statuses(), "vehicle_03": None}
    text = text_of(
        display.progress("the headline", vehicles, {1: statuses()["vehicle_00"]}, {1: 0.625})
    )
    assert "the headline" in text
    assert "vehicle_03" in text
    assert "starting" in text
    assert "102" in text
    assert "1/2" in text
    assert "62.5%" in text


def test_an_iteration_that_is_being_measured_says_so() -> None:
    text = text_of(display.iteration_table({1: statuses()["vehicle_00"]}, {}))
    assert "…" in text


def test_who_signed_two_blocks_is_named_with_those_who_hold_the_proof() -> None:
    vehicles: dict[str, VehicleStatus | None] = {**statuses(), "vehicle_03": None}
    assert display.equivocation_table(vehicles) is None
    said = "vehicle_02 signed two blocks at height 7 on 0a1b2c"
    vehicles["vehicle_00"] = status("vehicle_00", equivocations=[said])
    vehicles["vehicle_01"] = status("vehicle_01", equivocations=[said, "[bold]other"])
    assert json.loads(json.dumps(status_json(vehicles["vehicle_01"])))["equivocations"][0] == said
    text = text_of(display.equivocation_table(vehicles))
    (line,) = (line for line in text.splitlines() if said in line)
    assert "vehicle_00, vehicle_01" in line
    assert "[bold]other" in text
    assert "vehicle_03" not in text
