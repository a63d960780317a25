"""The parts of a report that need no run: lanes of a drawn chain, and refusals in logs."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="the room below needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.reports.lanes import lanes_of
from bift_ros.reports.refusals import read_refusals
from bift_ros.reports.run import Block, Refusal


def block(name: str, parent: str, height: int, on_chain: bool = False) -> Block:
    return Block(name, parent, height, "car", 0, {}, None, on_chain)


CHAIN = [block(f"c{n}", f"c{n - 1}", n, on_chain=True) for n in range(1, 8)]


def test_a_chain_without_forks_has_one_lane() -> None:
    assert set(lanes_of(CHAIN).values()) == {0}


def test_a_branch_keeps_its_lane_and_another_one_at_its_side_gets_the_next() -> None:
    side = [block("a1", "c1", 2), block("b1", "c1", 2), block("a2", "a1", 3), block("b2", "b1", 3)]
    lanes = lanes_of([*CHAIN, *side])
    assert [lanes[name] for name in ("a1", "a2", "b1", "b2")] == [1, 1, 2, 2]


def test_a_fork_of_a_branch_gets_a_lane_of_its_own() -> None:
    side = [block("a1", "c1", 2), block("a2", "a1", 3), block("b2", "a1", 3)]
    lanes = lanes_of([*CHAIN, *side])
    assert [lanes[name] for name in ("a1", "a2", "b2")] == [1, 1, 2]


def test_a_lane_is_used_again() -> None:
    lanes = lanes_of([*CHAIN, block("a1", "c1", 2), block("b1", "c4", 5)])
    assert lanes["a1"] == lanes["b1"] == 1


def test_refusals_are_summed_up_by_sender_and_kind(tmp_path: Path) -> None:
    begin = "[WARN] [1795654025.093249788]"
    logs = {
        "bus": f"""[INFO] [1.2] [bus.peer]: tip 7 00009
{begin} [bus.peer]: refused block from van: block 4 0000: it leaves out 1 of 1 commits
{begin} [bus.peer]: refused block from van: block 5 0000: too early
{begin} [bus.peer]: something else was refused
""",
        "car": f"""{begin} [car.peer]: refused block from van: block 4 0000: late
{begin} [car.peer]: refused transaction: malformed
""",
    }
    for name, text in logs.items():
        (tmp_path / name).write_text(text)
    assert read_refusals({name: tmp_path / name for name in logs}) == (
        Refusal("van", "block", 3, ("bus", "car"), "block 4 0000: late"),
        Refusal("", "transaction", 1, ("car",), "malformed"),
    )
