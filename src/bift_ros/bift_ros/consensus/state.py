"""What the chain says at one block: balances, sequence numbers, the task and the branch's weight.

States are immutable. Their mappings are never changed in place: a transition copies what it
changes, so many states share the rest. None grows with the chain: of what has been it holds what
the rules ask for, and the blocks tell the rest (see `history`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bift_ros.consensus.genesis import Genesis, Member, Policy
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.payloads import (
    Learning,
    MembershipVote,
    ModelCommit,
    ProposeTask,
    RoundKey,
    ShareFile,
)
from bift_ros.consensus.transactions import Transaction

MAX_FINISHED = 64
"""Finished tasks whose names are kept, so that they are not used again so soon."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Iteration:
    """One finished iteration of a task."""

    iteration: int
    """Counted from 1."""
    global_cid: str
    """The global model that it made."""
    accuracy: float
    """The lower median of the accuracies that its contributors claim."""
    rule: str
    """The aggregation rule that was applied."""
    contributors: tuple[str, ...]
    """Who was rewarded."""


@dataclass(frozen=True)
class Task:
    """A federated learning task and how far it is."""

    proposal: ProposeTask
    """What was proposed."""
    proposer: str
    """By whom."""
    since: int = 0
    """When its last iteration ended, or else when it was proposed: the block's time."""
    last: Iteration | None = None
    """The iteration that ended last; blocks tell of those before it."""
    commitments: Mapping[str, bytes] = field(default_factory=dict)
    """Address → commitment, in the iteration that is going on."""
    base_block: bytes = b""
    """Hash of the block that brought the base model: the proposal's or the last model block. Empty
    only within the block that is being applied."""
    committed_at: int | None = None
    """The time of the block that brought the newest of them; None before the first."""
    updates: Mapping[str, str] = field(default_factory=dict)
    """Address → update's CID, within the block that is being applied; empty between blocks."""
    opponents: frozenset[str] = frozenset()
    """Addresses of those who have voted for the task to end."""

    @property
    def model_id(self) -> str:
        """The task's name."""
        return self.proposal.model_id

    @property
    def current_iter(self) -> int:
        """How many iterations are finished."""
        return 0 if self.last is None else self.last.iteration

    @property
    def global_cid(self) -> str:
        """The global model to train from next: at first the initial one."""
        return self.proposal.init_cid if self.last is None else self.last.global_cid

    def round(self, kind: type[Learning]) -> RoundKey:
        """What the commits or updates of the iteration that is going on are for."""
        base = self.base_block.hex() if kind is ModelCommit else self.global_cid
        return RoundKey(self.model_id, self.current_iter + 1, base)

    @property
    def finished(self) -> bool:
        """Whether all iterations are done."""
        return self.current_iter == self.proposal.total_iter


@dataclass(frozen=True)
class SharedFile:
    """A file on a member's list."""

    file: ShareFile
    """What the member says of it."""
    since: int
    """The time of the block that lists it."""


@dataclass(frozen=True)
class KeyOfEpoch:
    """A key for model files that a member gave to the others."""

    transaction: Transaction
    """What gave it."""
    recipients: tuple[bytes, ...]
    """The Ed25519 keys that it is sealed for, in the copies' order."""

    @property
    def key(self) -> GroupKey:
        """Its sealed copies."""
        key = self.transaction.payload
        assert isinstance(key, GroupKey)
        return key

    @property
    def maker(self) -> str:
        """Who gave it."""
        return self.transaction.sender


@dataclass(frozen=True)
class State:
    """The chain's state after a block."""

    height: int
    """The block's height."""
    tip_hash: bytes
    """The block's hash."""
    timestamp: int
    """The block's time, milliseconds since the Unix epoch."""
    balances: Mapping[str, int]
    """Address → stake, for everybody who is or was a member."""
    sequences: Mapping[str, int]
    """Address → the next sequence number, for everybody who is or was a member."""
    policy: Policy
    """The rules, from the genesis."""
    members: Mapping[str, Member]
    """Address → member, for all who may speak and mine now."""
    genesis_hash: bytes
    """What every signature is bound to."""
    excluded: frozenset[str] = frozenset()
    """Addresses of those who are out for good, since they voted twice."""
    full_at: Mapping[str, int] = field(default_factory=dict)
    """Address → when it may say a whole burst again, if not yet (see `account_budget`)."""
    missed: Mapping[str, int] = field(default_factory=dict)
    """Address → in how many iterations the last ones that waited for it in vain are forgotten."""
    ballots: Mapping[MembershipVote, frozenset[str]] = field(default_factory=dict)
    """Change of membership → who has voted for it, while it has not been decided."""
    shares: Mapping[str, Mapping[str, SharedFile]] = field(default_factory=dict)
    """Address → name → file, for the members that share some."""
    epoch: bytes = b""
    """Names the membership: the genesis' hash at first, another after every change."""
    keys: tuple[KeyOfEpoch, ...] = ()
    """The newest keys for model files, in the chain's order (see `key_epochs`)."""
    task: Task | None = None
    """The active task."""
    last_task: Task | None = None
    """The task that was over last: done, cancelled, or replaced before its first iteration."""
    finished: tuple[str, ...] = ()
    """The names of the last `MAX_FINISHED` tasks that are over, in order."""
    learning_weight: int = 0
    """How many members' contributions the branch carries (see `fork_choice`)."""
    work: int = 0
    """The expected hashes behind the blocks that carry learning (see `fork_choice`)."""

    def next_sequence(self, address: str) -> int:
        """An account's next sequence number; 0 where its owner has not joined on this branch."""
        return self.sequences.get(address, 0)

    @property
    def latest_task(self) -> Task | None:
        """The active task, or else the one that was over last."""
        return self.task or self.last_task


def without_task(state: State, task: Task) -> State:
    """Give `state` once its task, which is `task` by now, is over."""
    finished = (*state.finished, task.model_id)[-MAX_FINISHED:]
    return changed(state, task=None, last_task=task, finished=finished)


def changed(state: State, **changes: Any) -> State:
    """Give `state` with some fields changed; many times faster than `dataclasses.replace`."""
    return _copy(state, changes)


def changed_task(task: Task, **changes: Any) -> Task:
    """Give `task` with some fields changed."""
    return _copy(task, changes)


def _copy(value: _T, changes: dict[str, Any]) -> _T:
    copy = object.__new__(type(value))
    copy.__dict__.update(value.__dict__, **changes)
    return copy


def initial_state(genesis: Genesis) -> State:
    """Give the state of block 0: everybody owns nothing, no task."""
    nothing = dict.fromkeys(genesis.addresses, 0)
    return State(
        0,
        genesis.hash,
        genesis.timestamp,
        nothing,
        nothing,
        genesis.policy,
        genesis.by_address,
        genesis.hash,
        epoch=genesis.hash,
    )
