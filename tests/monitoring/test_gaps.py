"""Which blocks are asked for, and of whom."""

from __future__ import annotations

import pytest

from bift_ros.history.blocks import BlockSummary
from bift_ros.monitoring import gaps as module
from bift_ros.monitoring.gaps import BLOCKS_PER_QUESTION, PATIENCE_SECONDS, Gap, Gaps
from bift_ros.monitoring.view import FleetView, ObservedTip

LENGTH = 40
CHAIN = [
    BlockSummary(f"a{n}", f"a{n - 1}", n, "m" * 40, 1000 * n, {}, (), None)
    for n in range(1, LENGTH + 1)
]


def stand(view: FleetView, name: str, tip: str, height: int) -> None:
    view.observe_tip(ObservedTip(name, name * 4, height, tip))


@pytest.fixture
def view() -> FleetView:
    view = FleetView()
    stand(view, "one", f"a{LENGTH}", LENGTH)
    stand(view, "two", f"a{LENGTH}", LENGTH)
    return view


def answer(view: FleetView, gap: Gap) -> int:
    return sum(view.add_block(block) for block in CHAIN[gap.first - 1 :][: gap.count])


def test_the_newest_blocks_are_asked_for_first_and_all_in_the_end(view: FleetView) -> None:
    gaps = Gaps(view)
    assert gaps.next(0.0) is None  # they may be on their way
    now, asked = PATIENCE_SECONDS, []
    while (gap := gaps.next(now)) is not None:
        asked.append(gap)
        gaps.answered(gap, answer(view, gap), now)
    assert asked == [Gap("one", 25, 16), Gap("one", 9, 16), Gap("one", 1, 8)]
    assert len(view.history.blocks) == LENGTH
    assert gaps.next(now) is None


def test_a_hole_is_filled(view: FleetView) -> None:
    for block in CHAIN:
        if block.height != 7:
            view.add_block(block)
    gaps = Gaps(view)
    gaps.next(0.0)
    gap = gaps.next(PATIENCE_SECONDS)
    assert gap == Gap("one", 1, 7)
    assert answer(view, gap) == 1


def test_who_has_nothing_to_give_is_left_alone_ever_longer(view: FleetView) -> None:
    gaps, now, pauses = Gaps(view), PATIENCE_SECONDS, []
    gaps.next(0.0)
    for _ in range(8):
        for name in ("one", "two"):
            gap = gaps.next(now)
            assert gap is not None
            assert gap.vehicle == name
            gaps.answered(gap, 0, now)
        left = now
        while gaps.next(now) is None:
            now += 1.0
        pauses.append(now - left)
    assert pauses == [4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]


def test_another_branch_on_which_a_vehicle_stands_is_completed_too(view: FleetView) -> None:
    for block in CHAIN:
        view.add_block(block)
    fork = [BlockSummary(f"b{n}", f"b{n - 1}" if n > 31 else "a30", n, "", 0, {}, (), None)
            for n in range(31, 34)]  # fmt: skip
    stand(view, "lost", "b33", 33)
    gaps = Gaps(view)
    gaps.next(0.0)
    gap = gaps.next(PATIENCE_SECONDS)
    assert gap == Gap("lost", 34 - BLOCKS_PER_QUESTION, BLOCKS_PER_QUESTION)
    for block in fork:
        view.add_block(block)
    assert gaps.next(PATIENCE_SECONDS) is None


def test_a_claimed_height_costs_only_its_claimant_questions(view: FleetView) -> None:
    for block in CHAIN:
        view.add_block(block)
    stand(view, "forger", "f" * 64, 2**63 - 1)
    gaps = Gaps(view)
    gaps.next(0.0)
    gap = gaps.next(PATIENCE_SECONDS)
    assert gap is not None
    assert gap.vehicle == "forger"
    gaps.answered(gap, 0, PATIENCE_SECONDS)
    assert gaps.next(PATIENCE_SECONDS) is None


def test_a_chain_longer_than_the_memory_is_not_fetched_whole(
    view: FleetView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BLOCKS", 2 * BLOCKS_PER_QUESTION)
    gaps = Gaps(view)
    gaps.next(0.0)
    gap = gaps.next(PATIENCE_SECONDS)
    assert gap is not None
    answer(view, gap)
    assert gaps.next(PATIENCE_SECONDS) is None
