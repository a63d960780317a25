"""What a vehicle holds against blocks: the limits of it."""

from __future__ import annotations

import pytest

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.transactions import MAX_TRANSACTION_BYTES, Transaction
from bift_ros.peer import fairness as module
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.context import Context
from bift_ros.peer.fairness import Fairness
from bift_ros.simulation.consortium import START_MS
from world.consortium import LearningConsortium

CONFIG = PeerConfig()
GRACE = CONFIG.omission_grace_ms
OMITS = "it leaves out 2 of 5 updates had in time"


class Case:
    """All five updates of a round, usable at START_MS, and a block with three of them."""

    def __init__(self) -> None:
        self.world = LearningConsortium(5)
        chain = Blockchain(self.world.genesis, ChainStore(":memory:", self.world.genesis))
        self.context = Context(self.world.keys[0], self.world.genesis, chain, CONFIG, "")
        self.context.clock.now = START_MS
        self.fairness = Fairness(self.context)
        self.parent = self.world.apply(self.world.start, self.world.task_block())
        self.updates = self.world.updates(range(5), self.parent)
        self.omitting = self.world.model_block(self.parent, self.updates[:3])

    def note(self, *transactions: Transaction) -> None:
        for transaction in transactions:
            self.fairness.usable(transaction)

    def objection(
        self, block: Block | None = None, received_at: int = START_MS + GRACE
    ) -> str | None:
        return self.fairness.objection(block or self.omitting, self.parent, received_at)

    def of_another_round(self, number: int) -> Transaction:
        return self.world.update(1, self.parent, iteration=number)


@pytest.fixture
def case() -> Case:
    case = Case()
    case.note(*case.updates)
    return case


def test_a_full_block_may_leave_out_what_has_no_room(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(case.omitting.to_bytes())
    monkeypatch.setattr(module, "MAX_BLOCK_BYTES", size + MAX_TRANSACTION_BYTES)
    assert case.objection() == OMITS  # one more transaction fits, however large
    monkeypatch.setattr(module, "MAX_BLOCK_BYTES", size + MAX_TRANSACTION_BYTES - 1)
    assert case.objection() is None


def test_the_latest_rounds_are_remembered_and_no_more(case: Case) -> None:
    """Else a member's transactions of rounds that it invents would fill the memory."""
    case.note(*(case.of_another_round(2 + i) for i in range(module._MAXIMUM_ROUNDS - 1)))
    assert case.objection() == OMITS
    case.note(case.of_another_round(1_000))
    assert case.objection() is None


def test_so_many_transactions_of_a_round_are_remembered_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAXIMUM_KNOWN", 4)
    case = Case()
    case.note(*case.updates[::-1])
    assert case.objection() == "it leaves out 2 of 4 updates had in time"


def test_what_came_within_the_grace_period_does_not_count(case: Case) -> None:
    assert case.objection(received_at=START_MS + GRACE) == OMITS
    assert case.objection(received_at=START_MS + GRACE - 1) is None


def test_only_the_share_that_the_policy_allows_may_be_left_out(case: Case) -> None:
    fraction = case.world.genesis.policy.max_omitted_fraction
    assert 1 / 5 <= fraction < 2 / 5
    assert case.objection(case.world.model_block(case.parent, case.updates[:4])) is None


def test_a_rival_may_come_within_the_grace_period(case: Case) -> None:
    first = case.world.model_block(case.parent, case.updates)
    rival = case.world.model_block(case.parent, case.updates, miner=2)
    case.fairness.accepted(first, case.parent)
    assert case.objection(rival, START_MS + GRACE) is None
    late = case.objection(rival, START_MS + GRACE + 1)
    assert late == f"it comes {GRACE + 1} ms after another block for the same"
    assert case.objection(first, START_MS + GRACE + 1) is None
