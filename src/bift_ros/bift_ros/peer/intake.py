"""Blocks from outside: wait for their parent and files, check everything, hand over the good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bift_ros.chain.blocks import Block
from bift_ros.chain.exceptions import InvalidBlock
from bift_ros.chain.model_check import check_model
from bift_ros.chain.state import State
from bift_ros.chain.transactions import ModelUpdate
from bift_ros.chain.transition import state_transition
from bift_ros.peer.context import Context
from bift_ros.peer.effects import RequestBlocks


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
    state: State | None = None
    """State after the block, once everything but PoFL has been checked."""


class Intake:
    """Blocks under way from "heard of" to "checked". Bounded, the oldest dropped first."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[bytes, _Waiting] = {}

    def add(self, block: Block, provider: str) -> None:
        """Take a block in; nothing happens with one that is known already."""
        if block.hash in self._waiting or self._context.chain.has(block.hash):
            return
        self._waiting[block.hash] = _Waiting(block, provider, self._context.now)
        if len(self._waiting) > self._context.config.maximum_waiting_blocks:
            del self._waiting[next(iter(self._waiting))]

    def orphan(self) -> _Waiting | None:
        """A waiting block whose parent nobody has given us yet."""
        for waiting in self._waiting.values():
            parent = waiting.block.header.previous_hash
            if parent not in self._waiting and not self._context.chain.has(parent):
                return waiting
        return None

    def request_for_orphan(self) -> RequestBlocks | None:
        """What to ask an orphan's miner for: the stretch of chain before it."""
        waiting = self.orphan()
        if waiting is None:
            return None
        tip = self._context.chain.tip_state.index
        return RequestBlocks(waiting.block.header.miner, max(1, min(tip, waiting.block.index) - 8))

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
        parent = context.chain.state_at(block.header.previous_hash)
        if parent is None:
            if context.now - waiting.since > context.config.file_wait_ms:
                self._refuse(block, "its parent block can't be had")
            return None
        try:
            if waiting.state is None:
                waiting.state = state_transition(parent, context.genesis, block, context.now)
            model = None
            if block.header.model_flag:
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

    def _refuse(self, block: Block, reason: str) -> None:
        name = block.hash.hex()
        self._context.refuse(
            "block", name, block.header.miner, f"block {block.header.index} {name[:12]}: {reason}"
        )
        self._waiting.pop(block.hash, None)
