"""When a miner makes a block, and which one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bift_ros.chain.blocks import Block, Body, Header
from bift_ros.chain.model_check import BadUpdateFile, compute_model
from bift_ros.chain.proof_of_work import FIRST_NONCE
from bift_ros.chain.state import State
from bift_ros.chain.transactions import ModelUpdate, Transaction
from bift_ros.peer.context import Context
from bift_ros.peer.effects import Mine, StopMining


@dataclass(frozen=True)
class _Candidate:
    """A block waiting for its nonce."""

    header: Header
    body: Body


class Miner:
    """Builds the next block when there is reason to, and has its nonce searched."""

    def __init__(self, context: Context) -> None:
        self._context = context
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
        for update in updates:
            context.need([update.payload.cid], context.provider_of(update))
        if state.task is not None and updates:
            context.need([state.task.global_cid], ())
        if not context.config.mine or self._candidate is not None:
            return
        ready = self._ready(state, updates)
        if ready:
            self._start_model_block(state, ready)
        if self._candidate is None:
            self._start_plain_block(state)

    def _ready(self, state: State, updates: Sequence[Transaction]) -> Sequence[Transaction]:
        """The updates to aggregate now, or none: all members' are in, or T_m has passed."""
        context = self._context
        policy = context.genesis.policy
        if state.task is None or state.task.global_cid not in context.files:
            return ()
        here = [t for t in updates if t.payload.cid in context.files]
        everyone = len(here) == len(context.genesis.members)
        waited = context.now - self._last_update_at >= policy.update_wait_ms
        return here if everyone or (waited and len(here) >= policy.minimum_updates) else ()

    def _start_model_block(self, state: State, updates: Sequence[Transaction]) -> None:
        context = self._context
        chosen = self._in_order({t.hash for t in updates})
        if sum(isinstance(t.payload, ModelUpdate) for t in chosen) < max(
            1, context.genesis.policy.minimum_updates
        ):
            return
        try:
            info, _ = compute_model(state, context.genesis, chosen, context.files.__getitem__)
        except BadUpdateFile as error:
            bad = next(t for t in updates if t.payload.cid == error.cid)
            context.mempool.discard(bad.hash)
            context.refuse("update", error.cid, error.sender, str(error))
            return
        self._start(state, Body(chosen, info))

    def _start_plain_block(self, state: State) -> None:
        chosen = self._in_order(set())
        if chosen:
            self._start(state, Body(chosen, None))

    def _in_order(self, updates: set[bytes]) -> tuple[Transaction, ...]:
        """Pending transactions with only these model updates; what a gap follows waits too."""
        context = self._context
        blocked: set[str] = set()
        chosen = []
        for transaction in context.mempool.pending(context.chain.tip_state):
            left_out = (
                isinstance(transaction.payload, ModelUpdate) and transaction.hash not in updates
            )
            if left_out or transaction.sender in blocked:
                blocked.add(transaction.sender)
            else:
                chosen.append(transaction)
        return tuple(chosen)

    def _start(self, state: State, body: Body) -> None:
        context = self._context
        header = Header(
            index=state.index + 1,
            timestamp=max(context.now, state.tip_timestamp + 1),
            previous_hash=state.tip_hash,
            body_hash=body.hash,
            model_flag=body.model_info is not None,
            miner=context.key.address,
            difficulty=context.genesis.policy.difficulty,
            nonce=FIRST_NONCE,
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
        return Block(header, candidate.body, self._context.key.sign(header.hash))
