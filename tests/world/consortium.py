"""Members with real keys, blocks made by hand, and what a test says of both in short."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from bift_ros.chain.tips import sign_tip
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.genesis import Policy
from bift_ros.consensus.model_check import compute_model
from bift_ros.consensus.payloads import ModelCommit, ModelUpdate, ProposeTask, commitment_of
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import Transaction
from bift_ros.consensus.transition import apply_body
from bift_ros.consensus.votes import Vote
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.events import TipReceived
from bift_ros.simulation import consortium
from bift_ros.simulation.world import INITIAL_MODEL, train
from bift_ros.storage.cid import cid_of

DEFAULTS = PeerConfig()
ARCHITECTURE = DEFAULTS.allowed_architectures[0]


def cid_for(label: object) -> str:
    """The CID of some file that nobody has."""
    return cid_of(repr(label).encode())


class Consortium(consortium.Consortium):
    """Members of a chain without commit–reveal whose accounts may say whatever they like.

    Unless a test asks for another policy.
    """

    def __init__(self, size: int = 5, **policy: Any) -> None:
        defaults: dict[str, Any] = {
            "difficulty": 4,
            "mode": "paper",
            "plain_interval_ms": 0,
            "account_interval_ms": 0,
        }
        super().__init__(size, Policy(**defaults | policy))

    def proposal(self, model_id: str = "lights", total_iter: int = 3) -> ProposeTask:
        """A task whose initial model nobody has."""
        return ProposeTask(
            model_id, cid_for(model_id), total_iter, "fedavg", "cnn", 10, 10, 0.001, "adam"
        )

    def update(self, member: int, state: State, **changes: Any) -> Transaction:
        """The member's update for the iteration that is going on."""
        assert state.task is not None
        said = {
            "cid": cid_for((member, state.task.current_iter)),
            "accuracy": 0.5 + member / 1000,
            "sample_count": 100,
        }
        return self.announce(member, state, **said | changes)

    def commit(self, member: int, state: State, update: Transaction | None = None) -> Transaction:
        """The member's commitment to an update, by default to what `update` gives."""
        payload = (update or self.update(member, state)).payload
        assert isinstance(payload, ModelUpdate)
        assert state.task is not None
        what = (payload.model_id, payload.iteration, payload.base_cid, state.task.base_block)
        seal = commitment_of(payload.cid, payload.salt, self.address(member))
        return self.sign(member, ModelCommit(*what, seal), state)

    def model_block(self, state: State, members: Iterable[int], **how: Any) -> Block:
        """A block that ends the iteration with the updates of `members`; all contribute."""
        updates = [self.update(member, state) for member in members]
        return self.block(state, updates, self.made_up_info(state, updates), **how)

    def apply(self, state: State, *blocks: Block) -> State:
        """The state after blocks that are not checked as a whole."""
        for block in blocks:
            state = apply_body(state, self.genesis, block)
        return state

    def task_block(self, **changes: Any) -> Block:
        """Block 1: member 0 proposes a task."""
        return self.block(self.start, [self.sign(0, self.proposal(**changes))])

    def with_task(self, **changes: Any) -> State:
        """The state after a block in which member 0 proposes a task."""
        return self.apply(self.start, self.task_block(**changes))

    def tip(
        self,
        member: int,
        height: int,
        tip_hash: bytes,
        weight: int,
        url: str = "",
        stamp: int = 1,
        votes: Collection[Vote] = (),
    ) -> TipReceived:
        """What a member says of where it stands, with its votes."""
        signed = sign_tip(
            self.keys[member],
            self.genesis.hash,
            height=height,
            tip_hash=tip_hash,
            learning_weight=weight,
            provider=url,
            stamp=stamp,
            votes=votes,
        )
        return TipReceived(signed)


class LearningConsortium(Consortium):
    """Members who train a small real model, and every file there is.

    Member 1 mines, since a test's peer is usually member 0.
    """

    def __init__(self, size: int = 5, **policy: Any) -> None:
        super().__init__(size, **{"update_wait_ms": 10_000} | policy)
        self.files: dict[str, bytes] = {}
        self.put(INITIAL_MODEL)

    def put(self, data: bytes) -> str:
        cid = cid_of(data)
        self.files[cid] = data
        return cid

    def proposal(  # type: ignore[override]
        self, total_iter: int = 3, **changes: Any
    ) -> ProposeTask:
        """A task that starts from the initial model."""
        proposal = ProposeTask(
            "lights",
            cid_of(INITIAL_MODEL),
            total_iter,
            "multi_krum",
            ARCHITECTURE,
            local_epochs=1,
            batch_size=10,
            learning_rate=0.01,
            optimizer="adam",
        )
        return replace(proposal, **changes)

    def update(
        self, member: int, state: State, data: bytes | None = None, **changes: Any
    ) -> Transaction:
        """The member's update for the iteration that is going on, or `data` in its place."""
        task = state.task
        assert task is not None
        if data is None:
            data = train(self.files[task.global_cid], member, task.current_iter + 1)
        said = {
            "cid": self.put(data),
            "accuracy": 0.5 + member / 100,
            "sample_count": 100 + member,
        }
        return self.announce(member, state, **said | changes)

    def updates(self, members: Iterable[int], state: State) -> list[Transaction]:
        return [self.update(member, state) for member in members]

    def block(self, *what: Any, miner: int = 1, later: int = 100, **header: Any) -> Block:
        return super().block(*what, miner=miner, later=later, **header)

    def model_block(  # type: ignore[override]
        self,
        state: State,
        updates: Sequence[Transaction],
        lie: dict[str, Any] | None = None,
        **how: Any,
    ) -> Block:
        """A block that aggregates `updates`; `lie` replaces fields of its model info."""
        info, model, *_ = compute_model(state, self.genesis, updates, self.files.__getitem__)
        self.put(model)
        return self.block(state, updates, replace(info, **lie or {}), **how)
