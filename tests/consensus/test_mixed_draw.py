"""What the rule `mixed` draws from: nothing that a miner can choose among."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bift_ros.consensus.model_check import compute_model
from bift_ros.consensus.payloads import WithdrawFile
from bift_ros.consensus.state import State, changed, changed_task
from bift_ros.consensus.transactions import Transaction
from world.consortium import LearningConsortium


@pytest.fixture(scope="module")
def fleet() -> LearningConsortium:
    return LearningConsortium(6, mode="bift", byzantine_fraction=0.1)


@pytest.fixture(scope="module")
def tasked(fleet: LearningConsortium) -> State:
    return fleet.apply(fleet.start, fleet.task_block(rule="mixed"))


def updates(fleet: LearningConsortium, state: State, salts: Sequence[int]) -> list[Transaction]:
    return [fleet.update(n, state, salt=bytes([salt] * 32)) for n, salt in enumerate(salts)]


def rule(fleet: LearningConsortium, state: State, said: Sequence[Transaction]) -> str:
    return compute_model(state, fleet.genesis, said, fleet.files.__getitem__).info.rule


def test_the_miners_of_blocks_since_the_base_model_choose_nothing(
    fleet: LearningConsortium, tasked: State
) -> None:
    said = updates(fleet, tasked, range(6))
    commits = [fleet.commit(n, tasked, update) for n, update in enumerate(said)]
    drawn = set()
    for miner in range(4):
        for later in (100, 200, 300):
            committed = fleet.apply(tasked, fleet.block(tasked, commits, miner=miner, later=later))
            drawn.add(rule(fleet, committed, said))
            word = [fleet.sign(miner, WithdrawFile("nothing"), committed)]
            plain = fleet.apply(committed, fleet.block(committed, word, miner=miner))
            drawn.add(rule(fleet, plain, said))
    assert len(drawn) == 1


def test_every_salt_and_the_base_block_count(fleet: LearningConsortium, tasked: State) -> None:
    for member in range(6):
        salts = list(range(6))
        drawn = set()
        for salt in range(20):
            salts[member] = salt
            drawn.add(rule(fleet, tasked, updates(fleet, tasked, salts)))
        assert drawn == {"krum", "trimmed_mean", "bulyan"}
    said = updates(fleet, tasked, range(6))
    assert tasked.task is not None
    drawn = {
        rule(
            fleet, changed(tasked, task=changed_task(tasked.task, base_block=bytes([n] * 32))), said
        )
        for n in range(20)
    }
    assert drawn == {"krum", "trimmed_mean", "bulyan"}


def test_the_order_in_the_block_does_not_count(fleet: LearningConsortium, tasked: State) -> None:
    for first in range(10):
        said = updates(fleet, tasked, range(first, first + 6))
        assert rule(fleet, tasked, said) == rule(fleet, tasked, said[::-1])


def test_the_papers_rule_stays_as_the_paper_has_it(fleet: LearningConsortium) -> None:
    proposal = replace(fleet.proposal(), rule="mixed_paper")
    block = fleet.block(fleet.start, [fleet.sign(0, proposal)])
    state = fleet.apply(fleet.start, block)
    for first in range(10):
        assert rule(fleet, state, updates(fleet, state, range(first, first + 6))) == "krum"
