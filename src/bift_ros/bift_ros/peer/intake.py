"""Blocks from outside: wait for their parent and files, check everything, hand over the good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bift_ros.chain.blocks import Block
from bift_ros.chain.exceptions import InvalidBlock
from bift_ros.chain.model_check import check_model
from bift_ros.chain.state import State
from bift_ros.chain.transactions import ModelUpdate, Transaction
from bift_ros.chain.transition import state_transition
from bift_ros.peer.context import Context

_MAXIMUM_HEARD = 4096


@dataclass(frozen=True)
class CheckedBlock:
    """A block that passed every check, with the state after it."""

    block: Block
    state: State
    model: bytes | None
    """The new global model's file, where the block makes one."""


@dataclass
class _Waiting:
    block: Block
    provider: str
    since: int
    forgiven: bool = False
    """Accepted in spite of what it omits."""
    state: State | None = None
    """State after the block, once everything but PoFL has been checked."""


class Intake:
    """Blocks under way from "heard of" to "checked". Bounded, the oldest dropped first."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[bytes, _Waiting] = {}
        self._omitting: dict[bytes, _Waiting] = {}
        self._heard: dict[bytes, int] = {}

    def add(self, block: Block, provider: str) -> None:
        """Take a block in; nothing happens with one that is known already."""
        if block.hash in self._waiting or self._context.chain.has(block.hash):
            return
        previous = self._omitting.pop(block.header.previous_hash, None)
        if previous is not None and block.header.model_flag:
            previous.forgiven = True
            self._waiting[previous.block.hash] = previous
        if block.hash not in self._omitting:
            self._waiting[block.hash] = _Waiting(block, provider, self._context.now)
        if len(self._waiting) > self._context.config.maximum_waiting_blocks:
            del self._waiting[next(iter(self._waiting))]

    def update_heard(self, update: Transaction) -> None:
        """Remember when a model update came, for the omission rule."""
        self._heard[update.hash] = self._context.now
        if len(self._heard) > _MAXIMUM_HEARD:
            del self._heard[next(iter(self._heard))]

    def orphans_miner(self) -> str | None:
        """The miner of a waiting block whose parent nobody has given us yet."""
        for waiting in self._waiting.values():
            header = waiting.block.header
            known = self._context.chain.has(header.previous_hash)
            if not known and header.previous_hash not in self._waiting:
                return header.miner
        return None

    def checked(self) -> Iterator[CheckedBlock]:
        """Yield blocks whose checks are complete, parents first, until none is left."""
        progress = True
        while progress:
            progress = False
            for waiting in sorted(self._waiting.values(), key=lambda w: w.block.header.index):
                result = self._advance(waiting)
                if result is not None:
                    yield result
                    progress = True

    def _advance(self, waiting: _Waiting) -> CheckedBlock | None:
        block, context = waiting.block, self._context
        if not context.chain.has(block.header.previous_hash):
            if context.now - waiting.since > context.config.file_wait_ms:
                self._refuse(block, "its parent block can't be had")
            return None
        parent = context.chain.state_at(block.header.previous_hash)
        try:
            if waiting.state is None:
                waiting.state = state_transition(parent, context.genesis, block, context.now)
            model = None
            if block.header.model_flag:
                if not waiting.forgiven and self._omits_too_much(waiting, parent):
                    return None
                if not self._files_here(waiting, parent):
                    return None
                model = check_model(parent, context.genesis, block, context.files.__getitem__)
        except InvalidBlock as error:
            self._refuse(block, str(error))
            return None
        del self._waiting[block.hash]
        return CheckedBlock(block, waiting.state, model)

    def _files_here(self, waiting: _Waiting, parent: State) -> bool:
        """Whether every file that PoFL needs is in memory; asks for the missing ones."""
        context = self._context
        assert parent.task is not None
        cids = [parent.task.global_cid]
        for transaction in waiting.block.body.transactions:
            if isinstance(transaction.payload, ModelUpdate):
                cids.append(transaction.payload.cid)
        missing = context.need(cids, (waiting.provider,))
        if missing and context.now - waiting.since > context.config.file_wait_ms:
            self._refuse(waiting.block, f"the file {min(missing)} can't be had from anyone")
        return not missing

    def _omits_too_much(self, waiting: _Waiting, parent: State) -> bool:
        """The omission rule (DESIGN section 5): no miner may choose a convenient subset.

        What counts is what this vehicle itself had well before the block came. A refused block
        is kept: once a model block stands on it, at least the minimum of members have trained
        from its model, and this vehicle's own view was the odd one.
        """
        context, block = self._context, waiting.block
        latest = waiting.since - context.config.omission_grace_ms
        in_time = {
            t.hash
            for t in context.mempool.updates(parent)
            if self._heard.get(t.hash, waiting.since) <= latest
        }
        omitted = in_time - {t.hash for t in block.body.transactions}
        share = len(omitted) / len(in_time) if in_time else 0.0
        if share <= context.genesis.policy.max_omitted_fraction:
            return False
        self._refuse(block, f"it leaves out {len(omitted)} of {len(in_time)} updates had in time")
        self._omitting[block.hash] = waiting
        if len(self._omitting) > context.config.maximum_waiting_blocks:
            del self._omitting[next(iter(self._omitting))]
        return True

    def _refuse(self, block: Block, reason: str) -> None:
        name = block.hash.hex()
        self._context.refuse(
            "block", name, block.header.miner, f"block {block.header.index} {name[:12]}: {reason}"
        )
        self._waiting.pop(block.hash, None)
