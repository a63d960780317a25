"""When a miner makes a block, and which one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bift_ros.consensus.attendance import absentees
from bift_ros.consensus.blocks import MIN_NONCE, Block, Body, Header, sign_block
from bift_ros.consensus.encoding import sha256
from bift_ros.consensus.exceptions import CannotAggregate
from bift_ros.consensus.payloads import (
    ModelCommit,
    ModelUpdate,
)
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import Transaction
from bift_ros.peer.context import Context
from bift_ros.peer.effects import Mine, StopMining
from bift_ros.peer.phases import DUTIES, Phase, phase_of
from bift_ros.peer.updates import Updates

_BUDGET_LOOK_MS = 1_000
"""How often it is looked whether an account may say more by now."""


@dataclass(frozen=True)
class _Candidate:
    """A block waiting for its nonce."""

    header: Header
    body: Body
    parent: State
    learns: bool
    begun: int


class Miner:
    """Builds the next block when there is reason to, and has its nonce searched."""

    def __init__(self, context: Context, updates: Updates) -> None:
        self._context, self._updates = context, updates
        self.mines = context.config.mine
        """Whether blocks are made at all."""
        self._round: object = None
        """What is being collected: another round, another wait."""
        self._waiting: tuple[Transaction, ...] = ()
        """The commits or updates that the round has brought so far."""
        self._changed_at = 0
        """When the last of them came, or the round began."""
        self._began = 0
        """When the round began."""
        self._complete_at: int | None = None
        """Since when all are in that the round waits for."""
        self._absent: tuple[Mapping[str, int], frozenset[str]] = ({}, frozenset())
        """Whom nobody waits for, with what says so."""
        self._tip = b""
        """Where the chain stood at the last look."""
        self._turn = (b"", 0)
        """A tip, and when this vehicle's turn to make the block after it comes."""
        self._candidate: _Candidate | None = None
        self._signed_on = b""
        """The parent of its last block: it never signs two on one."""
        self._fruitless: tuple[int, bytes, int] = (0, b"", 0)
        """The accounts' pending transactions, and the tip on which none could come at that time."""

    def set_mining(self, mine: bool) -> None:
        """Make blocks from now on, or none: the one under way is dropped."""
        self.mines = mine
        if not mine and self._candidate is not None:
            self._drop()

    def tip_changed(self) -> None:
        """Drop the block under way, unless it still outweighs the new tip.

        Blocks without learning add no weight. Nobody can stop the search for an iteration's block
        by making many of them.
        """
        candidate, tip = self._candidate, self._context.chain.tip
        if candidate is None:
            return
        parent = candidate.parent
        if candidate.learns and (tip.learning_weight, tip.work) == (
            parent.learning_weight,
            parent.work,
        ):
            return
        self._drop()

    def _drop(self) -> None:
        self._candidate = None
        self._context.emit(StopMining())

    def advance(self) -> None:
        """Start on a block where the phase of the iteration asks for one, or accounts wait."""
        context = self._context
        state = context.chain.tip_state
        phase = self._look(state)
        mines = self.mines and context.key.address in state.members
        if not mines or self._is_fresh():
            return
        collects = DUTIES[phase].collects
        if collects is ModelCommit:
            self._start_commit_block(state)
        elif collects is ModelUpdate:
            self._start_model_block(state, phase)
        if self._candidate is None:
            self._start_plain_block(state)

    def _is_fresh(self) -> bool:
        """Whether the search under way is for a block with learning that is up to date.

        A block made once and found much later would leave out what came meanwhile. To begin the
        search anew costs nothing: each attempt is as good as any other.
        """
        candidate, context = self._candidate, self._context
        if candidate is None or not candidate.learns:
            return False
        if context.now - candidate.begun < context.config.omission_grace_ms // 2:
            return True
        if candidate.parent.tip_hash != context.chain.tip.hash:
            return True  # it stands below blocks without learning
        kind = ModelUpdate if candidate.header.model_flag else ModelCommit
        held = sum(isinstance(t.payload, kind) for t in candidate.body.transactions)
        now = len(self._updates.ready) if kind is ModelUpdate else len(self._waiting)
        return now <= held

    def _look(self, state: State) -> Phase:
        """Give the iteration's phase; note when something that it waits for has come."""
        context, task = self._context, state.task
        if task is None:
            self._round, self._waiting, self._tip = None, (), b""
            return Phase.IDLE
        policy, committed_at = context.genesis.policy, task.committed_at
        phase = phase_of(task, policy, committed=committed_at is not None)
        kind = DUTIES[phase].collects
        assert kind is not None, "a task is active"
        waiting = context.mempool.learning(state, kind)
        if waiting is not self._waiting or state.tip_hash != self._tip:
            self._tip = state.tip_hash
            round_ = (task.round(kind), kind, task.committed_at)
            if round_ != self._round or len(waiting) > len(self._waiting):
                self._changed_at = context.now
            if round_ != self._round:
                self._began, self._complete_at = context.now, None
            self._round, self._waiting = round_, waiting
        if committed_at is None or context.stamp < committed_at + policy.commit_retry_ms:
            return phase
        return phase_of(task, policy, committed=True, in_vain=self._waited())

    def _ready(
        self, state: State, count: int, expected: Collection[str], usable: Collection[bytes] | None
    ) -> bool:
        """Whether all are in, or T_m has passed since the last with at least the minimum.

        For members that have been waited for in vain (`consensus.attendance`) it is a tenth of the
        time that all others took. Who is as fast as they are so comes back. `usable` has the hashes
        of what counts; None: all of it.
        """
        if count >= len(expected):
            return True
        if count < self._context.genesis.policy.minimum_updates:
            return False
        return self._is_complete(state, count, expected, usable) or self._waited()

    def _is_complete(
        self, state: State, count: int, expected: Collection[str], usable: Collection[bytes] | None
    ) -> bool:
        if self._absent[0] is not state.missed:
            self._absent = (state.missed, absentees(state))
        absent, now = self._absent[1], self._context.now
        if count < len(expected) - len(absent):
            return False  # told at little cost, as it mostly is
        senders = {tx.sender for tx in self._waiting if usable is None or tx.hash in usable}
        if any(address not in senders and address not in absent for address in expected):
            return False
        if self._complete_at is None:
            self._complete_at = now
        return now - self._complete_at >= (self._complete_at - self._began) // 10

    def _waited(self) -> bool:
        waited = self._context.now - self._changed_at
        return waited >= self._context.genesis.policy.update_wait_ms

    def _start_commit_block(self, state: State) -> None:
        if self._ready(state, len(self._waiting), state.members, None):
            context = self._context
            chosen = context.mempool.pending(context.state, ModelCommit)
            self._start(state, Body(tuple(chosen)), learns=True)

    def _start_model_block(self, state: State, phase: Phase) -> None:
        context, task = self._context, state.task
        assert task is not None
        policy = context.genesis.policy
        if context.need_model(task) or not context.can_write(state):
            return
        ready = self._updates.ready
        expected = task.commitments if policy.commit_reveal else state.members
        if self._ready(state, len(ready), expected, ready):
            self._aggregate(state, ready)
        elif phase is Phase.RETRY and context.mempool.learning(state, ModelCommit):
            chosen = context.mempool.pending(context.state, ModelCommit)
            self._start(state, Body(tuple(chosen)), learns=True)

    def _aggregate(self, state: State, ready: set[bytes]) -> None:
        context = self._context
        chosen = tuple(
            t
            for t in context.mempool.pending(context.state, ModelUpdate)
            if not isinstance(t.payload, ModelUpdate) or t.hash in ready
        )
        if sum(isinstance(t.payload, ModelUpdate) for t in chosen) < (
            context.genesis.policy.minimum_updates
        ):
            return
        try:
            made = context.compute(state, chosen)
        except CannotAggregate as error:
            assert state.task is not None
            context.refuse("task", state.task.global_cid, state.task.proposer, str(error))
        else:
            self._start(state, Body(chosen, made.info), learns=True)

    def _start_plain_block(self, state: State) -> None:
        context = self._context
        if context.stamp < state.timestamp + context.genesis.policy.plain_interval_ms:
            return
        mempool, (changes, tip, looked_at) = context.mempool, self._fruitless
        alike = (changes, tip) == (mempool.account_changes, state.tip_hash)
        if not mempool.has_account or (alike and context.now - looked_at < _BUDGET_LOOK_MS):
            return
        chosen = mempool.pending(context.state)
        if chosen:
            self._start(state, Body(tuple(chosen)), learns=False)
        else:
            self._fruitless = (mempool.account_changes, state.tip_hash, context.now)

    def _my_turn(self, state: State) -> bool:
        """Whether this member may begin on a block with learning, now that there is reason to.

        Thirty miners that began at once would find thirty blocks before the first had gone round,
        and all would check all of them. So they follow one another, in an order that every tip
        draws anew. Nobody can enforce that, and nobody needs to: a block brings its miner nothing.
        """
        context = self._context
        if self._turn[0] != state.tip_hash:
            drawn = {a: sha256(state.tip_hash + bytes.fromhex(a)) for a in state.members}
            own = drawn[context.key.address]
            before = sum(other < own for other in drawn.values())
            self._turn = (state.tip_hash, context.now + before * context.config.mine_turn_ms)
        return context.now >= self._turn[1]

    def _start(self, state: State, body: Body, *, learns: bool) -> None:
        context = self._context
        if context.store_fails or state.tip_hash == self._signed_on:
            return  # a block of its own may be waiting for the store
        if learns and not self._my_turn(state):
            return
        header = Header(
            height=state.height + 1,
            timestamp=max(context.stamp, state.timestamp + 1),
            previous_hash=state.tip_hash,
            body_hash=body.hash,
            model_flag=int(body.model_info is not None),
            miner=context.key.address,
            difficulty=context.genesis.policy.difficulty,
            nonce=MIN_NONCE,
        )
        self._candidate = _Candidate(header, body, state, learns, context.now)
        context.emit(Mine(header))

    def finish(self, header: Header) -> Block | None:
        """The block under way with its nonce, signed; None where it was dropped meanwhile."""
        candidate = self._candidate
        if candidate is None or header.body_hash != candidate.header.body_hash:
            return None
        if header.previous_hash != candidate.header.previous_hash:
            return None
        self._candidate, self._signed_on = None, header.previous_hash
        return sign_block(self._context.key, header, candidate.body)
