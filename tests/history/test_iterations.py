"""Who contributed, and which reason for the others is knowable from the chain."""

from __future__ import annotations

from bift_ros.consensus.payloads import ProposeTask
from bift_ros.history.blocks import BlockSummary, ModelSummary, Proposal, UpdateSummary
from bift_ros.history.iterations import Iteration, Outcome, tasks_of
from bift_ros.storage.cid import cid_of

TASK = ProposeTask("lights", cid_of(b"initial"), 2, "multi_krum", "a:b", 1, 10, 0.01, "sgd")


def plain(height: int, *commits: str, propose: bool = False) -> BlockSummary:
    proposals = (Proposal("car", 1000 * height, TASK),) if propose else ()
    return BlockSummary(
        f"b{height}", f"b{height - 1}", height, "miner", 1000 * height, {},
        commits=commits, proposals=proposals,
    )  # fmt: skip


def ending(height: int, iteration: int, senders: str, paid: str) -> BlockSummary:
    """A block with updates of `senders` that pays `paid`, one letter each."""
    updates = tuple(UpdateSummary(name, 0.5, 10) for name in senders)
    model = ModelSummary("lights", iteration, 2, "cid", "multi_krum", 0.5, tuple(paid))
    return BlockSummary(
        f"b{height}", f"b{height - 1}", height, "miner", 1000 * height, {}, updates, model
    )


def outcomes(iteration: Iteration, *addresses: str) -> list[Outcome]:
    return [iteration.outcomes.get(address, iteration.others) for address in addresses]


def test_with_commitments_each_reason_is_told_apart() -> None:
    blocks = [plain(1, propose=True), plain(2, "a", "b"), plain(3, "c"), ending(4, 1, "ab", "a")]
    (task,) = tasks_of(blocks)
    (iteration,) = task.iterations
    assert outcomes(iteration, "a", "b", "c", "d") == [
        Outcome.CONTRIBUTED, Outcome.LEFT_OUT, Outcome.NOT_REVEALED, Outcome.NOT_COMMITTED,
    ]  # fmt: skip
    assert (iteration.left_out, iteration.not_revealed) == (("b",), ("c",))
    assert iteration.seconds == 3.0


def test_without_commitments_who_has_no_update_is_absent() -> None:
    (task,) = tasks_of([plain(1, propose=True), ending(2, 1, "ab", "b")])
    assert outcomes(task.iterations[0], "a", "b", "c") == [
        Outcome.LEFT_OUT, Outcome.CONTRIBUTED, Outcome.ABSENT,
    ]  # fmt: skip


def test_commitments_count_for_one_iteration() -> None:
    blocks = [
        plain(1, propose=True), plain(2, "a", "b", "c"), ending(3, 1, "ab", "ab"),
        plain(4, "a"), ending(5, 2, "a", "a"),
    ]  # fmt: skip
    (task,) = tasks_of(blocks)
    assert outcomes(task.iterations[1], "c") == [Outcome.NOT_COMMITTED]
    assert task.iterations[1].seconds == 2.0
    assert task.committed == []
    assert task.state == "done"


def test_a_chain_whose_beginning_is_missing_claims_no_reason() -> None:
    blocks = [plain(7, "b"), ending(8, 1, "a", "a"), plain(9, "a", "b"), ending(10, 2, "a", "a")]
    (task,) = tasks_of(blocks)
    first, second = task.iterations
    assert (first.seconds, outcomes(first, "b", "c")) == (None, [Outcome.ABSENT] * 2)
    assert outcomes(second, "b", "c") == [Outcome.NOT_REVEALED, Outcome.NOT_COMMITTED]
    assert task.proposal is None


def test_a_task_that_another_replaces_is_told() -> None:
    first, second = tasks_of([plain(1, propose=True), plain(2, "a"), plain(3, propose=True)])
    assert (first.state, first.committed) == ("replaced", ["a"])
    assert second.proposal is not None
    assert (second.state, second.proposal.time) == ("active", 3000)
