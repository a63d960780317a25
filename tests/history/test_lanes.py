"""Where branches are drawn."""

from __future__ import annotations

from bift_ros.history.blocks import BlockSummary
from bift_ros.history.chain import lanes_of


def block(name: str, parent: str, height: int) -> BlockSummary:
    return BlockSummary(name, parent, height, "car", 0, {})


CHAIN = [block(f"c{n}", f"c{n - 1}", n) for n in range(1, 8)]


def test_a_chain_without_forks_has_one_lane() -> None:
    assert set(lanes_of(CHAIN, []).values()) == {0}


def test_a_branch_keeps_its_lane_and_another_one_at_its_side_gets_the_next() -> None:
    side = [block("a1", "c1", 2), block("b1", "c1", 2), block("a2", "a1", 3), block("b2", "b1", 3)]
    lanes = lanes_of(CHAIN, side)
    assert [lanes[name] for name in ("a1", "a2", "b1", "b2")] == [1, 1, 2, 2]


def test_a_fork_of_a_branch_gets_a_lane_of_its_own() -> None:
    side = [block("a1", "c1", 2), block("a2", "a1", 3), block("b2", "a1", 3)]
    lanes = lanes_of(CHAIN, side)
    assert [lanes[name] for name in ("a1", "a2", "b2")] == [1, 1, 2]


def test_a_lane_is_used_again() -> None:
    lanes = lanes_of(CHAIN, [block("a1", "c1", 2), block("b1", "c4", 5)])
    assert lanes["a1"] == lanes["b1"] == 1


def test_a_gap_keeps_two_branches_on_a_lane_apart() -> None:
    lanes = lanes_of(CHAIN, [block("a1", "c1", 2), block("b1", "c2", 3), block("d1", "c3", 4)])
    assert [lanes[name] for name in ("a1", "b1", "d1")] == [1, 2, 1]


def test_what_stands_above_the_head_is_beside_the_chain() -> None:
    lanes = lanes_of(CHAIN, [block("c8", "c7", 8), block("c9", "c8", 9)])
    assert (lanes["c8"], lanes["c9"]) == (1, 1)


def test_many_branches_at_once_take_a_lane_each() -> None:
    side = [block(f"{n:05}", "c1", 2) for n in range(5000)]
    assert sorted(lanes_of(CHAIN[:1], side).values()) == list(range(5001))
