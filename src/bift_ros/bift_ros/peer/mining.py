"""When a miner makes a block, and which one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bift_ros.chain.blocks import MIN_NONCE, Block, Body, Header, sign_block
from bift_ros.chain.exceptions import BadModelFile, CannotAggregate
from bift_ros.chain.model_check import compute_model
from bift_ros.chain.state import State
from bift_ros.chain.transactions import ModelUpdate, Transaction
from bift_ros.peer.context import Context
from bift_ros.peer.effects import Mine, StopMining
from bift_ros.peer.updates import Updates


@dataclass(frozen=True)
class _Candidate:
    """A block waiting for its nonce."""

    header: Header
    body: Body


class Miner:
    """Builds the next block when there is reason to, and has its nonce searched."""

    def __init__(self, context: Context, updates: Updates) -> None:
        self._context, self._updates = context, updates
        self._last_update_at = 0
        self._updates_seen: frozenset[bytes] = frozenset()
        self._candidate: _Candidate | None = None

    def tip_changed(self) -> None:
        """Drop the block under way: it stands on a tip that is no longer ours."""
        if self._candidate is not None:
            self._candidate = None
            self._context.emit(StopMining())

    def advance(self) -> None:
        """Start on a block where the rules of the round (DESIGN section 5, "When") allow one."""
        context = self._context
        state = context.chain.tip_state
        updates = context.mempool.updates(state)
        hashes = frozenset(t.hash for t in updates)
        if not hashes <= self._updates_seen:
            self._last_update_at = context.now
        self._updates_seen = hashes
        if not context.config.mine or self._candidate is not None:
            return
        ready = self._ready(state, updates)
        if ready:
            self._start_model_block(state, ready)
        if self._candidate is None:
            self._start_plain_block(state)

    def _ready(self, state: State, updates: Sequence[Transaction]) -> set[bytes]:
        """Hashes of the updates to aggregate now: all members' are in, or T_m has passed."""
        context = self._context
        policy = context.genesis.policy
        if state.task is None or state.task.global_cid not in context.files:
            return set()
        here = {t.hash for t in updates if self._updates.usable(t)}
        everyone = len(here) == len(context.genesis.members)
        waited = context.now - self._last_update_at >= policy.update_wait_ms
        return here if everyone or (waited and len(here) >= policy.minimum_updates) else set()

    def _start_model_block(self, state: State, ready: set[bytes]) -> None:
        context = self._context
        chosen = self._without(context.mempool.pending(state, with_updates=True), ready)
        count = sum(isinstance(t.payload, ModelUpdate) for t in chosen)
        if count < context.genesis.policy.minimum_updates:
            return
        try:
            made = compute_model(state, context.genesis, chosen, context.files.__getitem__)
        except (BadModelFile, CannotAggregate) as error:
            assert state.task is not None
            context.refuse("task", state.task.global_cid, state.task.proposer, str(error))
        else:
            self._start(state, Body(chosen, made.info))

    def _start_plain_block(self, state: State) -> None:
        chosen = tuple(self._context.mempool.pending(state))
        if chosen:
            self._start(state, Body(chosen))

    @staticmethod
    def _without(pending: Sequence[Transaction], ready: set[bytes]) -> tuple[Transaction, ...]:
        """Leave out updates that are not ready, and what their senders said after them."""
        waiting: set[str] = set()
        chosen = []
        for transaction in pending:
            unready = isinstance(transaction.payload, ModelUpdate) and transaction.hash not in ready
            if unready or transaction.sender in waiting:
                waiting.add(transaction.sender)
            else:
                chosen.append(transaction)
        return tuple(chosen)

    def _start(self, state: State, body: Body) -> None:
        context = self._context
        header = Header(
            index=state.index + 1,
            timestamp=max(context.now, state.timestamp + 1),
            previous_hash=state.tip_hash,
            body_hash=body.hash,
            model_flag=int(body.model_info is not None),
            miner=context.key.address,
            difficulty=context.genesis.policy.difficulty,
            nonce=MIN_NONCE,
        )
        self._candidate = _Candidate(header, body)
        context.emit(Mine(header))

    def finish(self, header: Header) -> Block | None:
        """The block under way with its nonce, signed; None where it was dropped meanwhile."""
        candidate = self._candidate
        if candidate is None or header.body_hash != candidate.header.body_hash:
            return None
        if header.previous_hash != candidate.header.previous_hash:
            return None
        self._candidate = None
        return sign_block(self._context.key, header, candidate.body)
