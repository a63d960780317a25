"""Blocks that break no rule, but that this vehicle holds something against."""

from __future__ import annotations

import pytest

from bift_ros.consensus.blocks import Block
from bift_ros.consensus.payloads import (
    ModelCommit,
    ModelUpdate,
    Transfer,
    WithdrawFile,
    commitment_of,
)
from bift_ros.consensus.transactions import Transaction
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Refused
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of

CHECKER = PeerConfig(mine=False, train=False)


class Case:
    """A vehicle with all five updates, and a block that leaves out two of them."""

    def __init__(self, members: int = 5) -> None:
        self.world = LearningConsortium(members)
        self.peer = PeerDriver(self.world, 0, CHECKER)
        self.peer.block(self.world.task_block())
        self.start = self.peer.state
        self.updates = self.world.updates(range(5), self.start)
        self.peer.transaction(*self.updates)
        self.peer.wait(CHECKER.omission_grace_ms)
        self.omitting = self.world.model_block(self.start, self.updates[:3])

    def stands(self, member: int, block: Block | None, stamp: int = 1) -> None:
        """A member says where it stands: on the block, or where the chain was."""
        height, name = (
            (block.header.height, block.hash)
            if block is not None
            else (self.start.height, self.start.tip_hash)
        )
        self.peer.send(self.world.tip(member, height, name, 3, stamp=stamp))


@pytest.fixture
def case() -> Case:
    case = Case()
    (refused,) = of(Refused, case.peer.block(case.omitting))
    assert "leaves out 2 of 5" in refused.reason
    return case


def test_a_majority_on_the_block_settles_it(case: Case) -> None:
    for member in (1, 2):
        case.stands(member, case.omitting)
    case.peer.wait(3_250)
    assert case.peer.state == case.start
    case.stands(3, case.omitting)
    case.peer.wait(3_250)
    assert case.peer.state.tip_hash == case.omitting.hash


def test_a_majority_on_a_descendant_counts_too(case: Case) -> None:
    after = case.world.apply(case.start, case.omitting)
    rich = case.omitting.body.model_info.contributors[0]  # type: ignore[union-attr]
    giver = next(i for i in range(5) if case.world.address(i) == rich)
    gift = case.world.sign(giver, Transfer(case.world.address(4), 1), after)
    above = case.world.block(after, [gift])
    case.peer.block(above)
    for member in (1, 2, 3):
        case.stands(member, above)
    case.peer.wait(3_250)
    assert case.peer.state.tip_hash == above.hash


def test_a_majority_elsewhere_keeps_it_out(case: Case) -> None:
    for member in (1, 2):
        case.stands(member, None)  # with this vehicle itself: three of five
    case.peer.wait(2 * CHECKER.dispute_ms)
    assert case.peer.state == case.start
    # Newer words count: two of the three went over to it.
    for member in (1, 2, 3):
        case.stands(member, case.omitting, stamp=2)
    case.stands(1, None, stamp=1)
    case.peer.wait(3_250)
    assert case.peer.state.tip_hash == case.omitting.hash


def test_a_majority_elsewhere_that_does_not_get_on_lets_fork_choice_decide(case: Case) -> None:
    """Else those on the block and those beside it may wait for each other for good."""
    for member in (1, 2):
        case.stands(member, None)
    case.peer.wait(4 * CHECKER.dispute_ms)
    assert case.peer.state.tip_hash == case.omitting.hash


def test_with_no_majority_in_sight_fork_choice_decides_in_the_end(case: Case) -> None:
    case.stands(1, None)
    case.stands(2, case.omitting)
    case.peer.wait(CHECKER.dispute_ms - 1_000)
    assert case.peer.state == case.start
    case.peer.wait(5_000)
    assert case.peer.state.tip_hash == case.omitting.hash


def test_one_members_disputed_blocks_drive_out_no_other_members(case: Case) -> None:
    """Of a miner with many blocks on one parent all but two are disputed, which costs little."""
    case.stands(1, None)
    case.stands(3, case.omitting)
    word = [case.world.sign(2, WithdrawFile("nothing"), case.start)]
    for later in range(1, CHECKER.maximum_waiting_blocks + 20):
        case.peer.block(case.world.block(case.start, word, miner=2, later=later))
    case.peer.wait(CHECKER.dispute_ms + 4_000)
    assert case.peer.state.tip_hash == case.omitting.hash


def test_a_rival_that_comes_late_is_disputed() -> None:
    """A fast machine may search for a lower hash as long as the fleet trains."""
    case = Case()
    blocks = [
        case.world.model_block(case.start, case.updates[:4], miner=3, later=100 + i)
        for i in range(8)
    ]
    low, *_, high = sorted(blocks, key=lambda block: block.hash)
    case.peer.block(high)
    assert case.peer.state.tip_hash == high.hash
    case.peer.wait(CHECKER.omission_grace_ms + 250)
    (refused,) = of(Refused, case.peer.block(low))
    assert "after another block for the same" in refused.reason
    assert case.peer.state.tip_hash == high.hash


def test_commits_made_when_updates_may_be_known_are_disputed() -> None:
    world = LearningConsortium(5, mode="bift", minimum_updates=3)
    peer = PeerDriver(world, 0, CHECKER)
    peer.block(world.task_block())
    start = peer.state

    def commit(member: int) -> Transaction:
        update = world.update(member, start).payload
        assert isinstance(update, ModelUpdate)
        seal = commitment_of(update.cid, update.salt, world.address(member))
        assert start.task is not None
        what = ("lights", 1, update.base_cid, start.task.base_block)
        return world.sign(member, ModelCommit(*what, seal), start)

    commits = [commit(member) for member in range(4)]
    peer.transaction(*commits[:3])
    first = world.block(start, commits[:3])
    peer.block(first)
    assert peer.state.tip_hash == first.hash
    # One more commit makes the branch heavier; it came when the commits were closed.
    peer.wait(CHECKER.reveal_delay_ms)
    peer.transaction(commits[3])
    (refused,) = of(Refused, peer.block(world.block(start, commits, miner=3)))
    assert "1 of its commits came after the commits were closed" in refused.reason
    assert peer.state.tip_hash == first.hash
