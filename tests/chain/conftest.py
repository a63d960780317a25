"""A small consortium that signs, mines and applies blocks for the tests of this room."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import settings
from multiformats import CID

from bift_ros.consensus.blocks import (
    MIN_NONCE,
    Block,
    Body,
    Header,
    ModelInfo,
    sign_block,
)
from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.consensus.payloads import (
    Learning,
    ModelCommit,
    ModelUpdate,
    Payload,
    ProposeTask,
    commitment_of,
)
from bift_ros.consensus.proof_of_work import search
from bift_ros.consensus.state import State, initial_state
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.consensus.transition import apply_body, claimed_accuracy
from bift_ros.identity.keys import KeyPair

START = 1_700_000_000_000

settings.register_profile("chain", deadline=None)  # a busy machine is no failure
settings.load_profile("chain")


def cid_for(label: object) -> str:
    """The CID of some file that nobody has."""
    return str(CID("base32", 1, "raw", ("sha2-256", hashlib.sha256(repr(label).encode()).digest())))


class Fleet:
    """Members with their keys, and short ways to what a test needs. Holds no chain.

    Without commit–reveal, unless a test asks for the mode.
    """

    def __init__(self, size: int = 5, difficulty: int = 4, **policy: object) -> None:
        policy = {"mode": "paper", "plain_interval_ms": 0} | policy
        seeds = [hashlib.sha256(f"vehicle {i}".encode()).digest() for i in range(size)]
        self.keys = [KeyPair.from_seed(seed) for seed in seeds]
        self.genesis = Genesis(
            "test",
            START,
            tuple(Member(f"vehicle{i}", key.public_key) for i, key in enumerate(self.keys)),
            Policy(difficulty=difficulty, **policy),  # type: ignore[arg-type]
        )
        self.start = initial_state(self.genesis)

    def address(self, member: int) -> str:
        return self.keys[member].address

    def sign(
        self, member: int, payload: Payload, state: State | None = None, *, ahead: int = 0
    ) -> Transaction:
        """A transaction with the member's next sequence number in `state`, or one `ahead`."""
        state = state or self.start
        sequence = state.sequences[self.address(member)] + ahead
        if isinstance(payload, Learning):
            sequence = payload.iteration
        return sign_transaction(self.keys[member], sequence, payload, self.genesis.hash)

    def proposal(self, model_id: str = "lights", total_iter: int = 3) -> ProposeTask:
        return ProposeTask(
            model_id, cid_for(model_id), total_iter, "fedavg", "cnn", 10, 10, 0.001, "adam"
        )

    def update(self, member: int, state: State, **changes: object) -> Transaction:
        """The member's update for the iteration that is going on."""
        task = state.task
        assert task is not None
        payload = ModelUpdate(
            task.model_id,
            task.current_iter + 1,
            task.global_cid,
            cid_for((member, task.current_iter)),
            0.5 + member / 1000,
            100,
        )
        return self.sign(member, replace(payload, **changes), state)  # type: ignore[arg-type]

    def commit(self, member: int, state: State) -> Transaction:
        """The member's commitment to what `update` gives."""
        update = self.update(member, state).payload
        assert isinstance(update, ModelUpdate)
        seal = commitment_of(update.cid, update.salt, self.address(member))
        assert state.task is not None
        payload = ModelCommit(
            update.model_id, update.iteration, update.base_cid, state.task.base_block, seal
        )
        return self.sign(member, payload, state)

    def info(
        self, state: State, transactions: Sequence[Transaction], salt: object = ""
    ) -> ModelInfo:
        """A model info in which all updaters contribute; the global model is made up."""
        task = state.task
        assert task is not None
        senders = {tx.sender for tx in transactions if isinstance(tx.payload, ModelUpdate)}
        contributors = tuple(sorted(senders))
        return ModelInfo(
            task.model_id,
            task.proposal.init_cid,
            cid_for(("global", task.current_iter + 1, contributors, salt)),
            task.proposal.total_iter,
            task.current_iter + 1,
            task.proposer,
            claimed_accuracy(tuple(transactions), contributors),
            "fedavg",
            contributors,
        )

    def block(
        self,
        state: State,
        transactions: Sequence[Transaction] = (),
        info: ModelInfo | None = None,
        *,
        miner: int = 0,
        later: int = 1000,
        **header: object,
    ) -> Block:
        """A mined and signed block on `state`, `later` ms after it."""
        body = Body(tuple(transactions), info)
        draft = Header(
            state.height + 1,
            state.timestamp + later,
            state.tip_hash,
            body.hash,
            int(info is not None),
            self.address(miner),
            self.genesis.policy.difficulty,
            MIN_NONCE,
        )
        mined = search(replace(draft, **header), MIN_NONCE, 1_000_000)  # type: ignore[arg-type]
        assert mined is not None
        return sign_block(self.keys[miner], mined, body)

    def model_block(self, state: State, members: Sequence[int], **changes: object) -> Block:
        """A block that ends the iteration with the updates of `members`."""
        updates = [self.update(member, state) for member in members]
        return self.block(state, updates, self.info(state, updates), **changes)  # type: ignore[arg-type]

    def apply(self, state: State, block: Block) -> State:
        return apply_body(state, self.genesis, block)

    def with_task(self, total_iter: int = 3) -> State:
        """The state after a block in which member 0 proposes a task."""
        tx = self.sign(0, self.proposal(total_iter=total_iter))
        return self.apply(self.start, self.block(self.start, [tx]))


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture(scope="session")
def make_fleet() -> type[Fleet]:
    return Fleet
