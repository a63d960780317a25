"""Blocks from outside: wait for their parent and files, check everything, hand over the good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bift_ros.chain.authorship import check_authorship
from bift_ros.chain.blocks import Block
from bift_ros.chain.exceptions import BodyMismatch, InvalidBlock, WrongTimestamp
from bift_ros.chain.model_check import ComputedModel, check_model
from bift_ros.chain.state import State
from bift_ros.chain.transactions import ModelUpdate
from bift_ros.chain.transition import state_transition
from bift_ros.peer.context import Context
from bift_ros.peer.updates import Updates

_MAXIMUM_INVALID = 4096


@dataclass(frozen=True)
class CheckedBlock:
    """A block that passed every check, with the state after it."""

    block: Block
    state: State
    made: ComputedModel | None
    """The new global model, where the block makes one."""


@dataclass
class _Waiting:
    block: Block
    provider: str
    since: int
    parent: State | None = None
    state: State | None = None
    """State after the block, once everything but PoFL has been checked."""
    files_since: int = 0
    """When the parent was here and the wait for files began."""


class Intake:
    """Blocks under way from "heard of" to "checked". Bounded, the oldest dropped first."""

    def __init__(self, context: Context, updates: Updates) -> None:
        self._context, self._updates = context, updates
        self._waiting: dict[bytes, _Waiting] = {}
        self._omitting: dict[bytes, _Waiting] = {}
        self._invalid: dict[bytes, None] = {}

    def add(self, block: Block, provider: str) -> None:
        """Take a block in that a member vouches for; one that is known already does nothing."""
        name = block.hash
        known = name in self._waiting or name in self._omitting or self._context.chain.has(name)
        if known or self.rejects(name):
            return
        try:
            self._check_at_the_door(block)
        except InvalidBlock as error:
            self._refuse(block, str(error))
            return
        if self.rejects(block.header.previous_hash):
            self._reject(block, "its parent block is invalid")
            return
        self._waiting[name] = _Waiting(block, provider, self._context.now)
        if len(self._waiting) > self._context.config.maximum_waiting_blocks:
            del self._waiting[next(iter(self._waiting))]

    def rejects(self, block_hash: bytes) -> bool:
        """Whether the block was found invalid for good."""
        return block_hash in self._invalid

    def holds(self, block_hash: bytes) -> bool:
        """Whether the block is here and waits for no other block, except such ones."""
        while block_hash in self._waiting:
            block_hash = self._waiting[block_hash].block.header.previous_hash
        return block_hash in self._omitting or self._context.chain.has(block_hash)

    def orphans_miner(self, waited_ms: int) -> str | None:
        """The miner of a block that has waited this long for a parent nobody has given us."""
        for waiting in self._waiting.values():
            if self._context.now - waiting.since < waited_ms:
                return None  # in order of arrival
            if not self.holds(waiting.block.header.previous_hash):
                return waiting.block.header.miner
        return None

    def checked(self) -> Iterator[CheckedBlock]:
        """Yield blocks whose checks are complete, parents first, until none is left."""
        progress = True
        while progress:
            progress = False
            for waiting in [*self._waiting.values()] if self._omitting else []:
                if waiting.parent is None and waiting.block.header.model_flag:
                    self._forgive_below(waiting.block)
            for waiting in sorted(self._waiting.values(), key=lambda w: w.block.header.index):
                result = self._advance(waiting)
                if result is not None:
                    yield result
                    progress = True

    def _check_at_the_door(self, block: Block) -> None:
        """Keep nothing that cost nobody work, and nothing under a true header with a false body.

        Nor a block that says nothing: it would only cost every miner the search under way.
        """
        check_authorship(block.header, block.signature, self._context.genesis)
        if block.body.hash != block.header.body_hash:
            raise BodyMismatch("the body is not the one that the header names")
        if not block.body.transactions:
            raise InvalidBlock("it holds no transaction")

    def _advance(self, waiting: _Waiting) -> CheckedBlock | None:
        block, context = waiting.block, self._context
        try:
            if waiting.parent is None and not self._parent_here(waiting):
                return None
            assert waiting.parent is not None
            if waiting.state is None:
                waiting.state = state_transition(
                    waiting.parent, context.genesis, block, context.now
                )
                if block.header.model_flag and self._omits_too_much(waiting, waiting.parent):
                    return None
            made = None
            if block.header.model_flag:
                if not self._files_here(waiting, waiting.parent):
                    return None
                made = check_model(
                    waiting.parent, context.genesis, block, context.files.__getitem__
                )
        except WrongTimestamp as error:
            self._refuse(block, str(error))  # it may come again when its time has come
            return None
        except InvalidBlock as error:
            self._reject(block, str(error))
            return None
        del self._waiting[block.hash]
        return CheckedBlock(block, waiting.state, made)

    def _parent_here(self, waiting: _Waiting) -> bool:
        """Whether the parent has been accepted; notes its state then."""
        context, previous = self._context, waiting.block.header.previous_hash
        if context.chain.has(previous):
            waiting.parent = context.chain.state_at(previous)
            waiting.files_since = context.now
            return True
        if self.rejects(previous):
            self._reject(waiting.block, "its parent block is invalid")
        if (
            previous not in self._waiting
            and context.now - waiting.since > context.config.file_wait_ms
        ):
            self._refuse(waiting.block, "its parent block can't be had")
        return False

    def _files_here(self, waiting: _Waiting, parent: State) -> bool:
        """Whether every file that PoFL needs is in memory; asks for the missing ones."""
        context = self._context
        assert parent.task is not None
        cids = [parent.task.global_cid]
        for transaction in waiting.block.body.transactions:
            if isinstance(transaction.payload, ModelUpdate):
                cids.append(transaction.payload.cid)
        missing = context.need(cids, (waiting.provider,))
        if missing and context.now - waiting.files_since > context.config.file_wait_ms:
            self._refuse(waiting.block, f"the file {min(missing)} can't be had from anyone")
        return not missing

    def _omits_too_much(self, waiting: _Waiting, parent: State) -> bool:
        """The omission rule (DESIGN section 5): no miner may choose a convenient subset.

        What counts is what this vehicle itself could aggregate well before the block came. A
        refused block is kept: once a model block stands on it, at least the minimum of members
        have trained from its model, and this vehicle's own view was the odd one.
        """
        context, block = self._context, waiting.block
        in_time = self._updates.omittable(parent, waiting.since - context.config.omission_grace_ms)
        omitted = in_time - {t.hash for t in block.body.transactions}
        share = len(omitted) / len(in_time) if in_time else 0.0
        if share <= context.genesis.policy.max_omitted_fraction:
            return False
        self._refuse(block, f"it leaves out {len(omitted)} of {len(in_time)} updates had in time")
        self._omitting[block.hash] = waiting
        if len(self._omitting) > context.config.maximum_waiting_blocks:
            del self._omitting[next(iter(self._omitting))]
        return True

    def _forgive_below(self, block: Block) -> None:
        """Forgive the omitting block under a model block that is valid, PoFL aside."""
        path = [block]
        while (below := self._waiting.get(path[-1].header.previous_hash)) is not None:
            path.append(below.block)
        omitting = self._omitting.get(path[-1].header.previous_hash)
        if omitting is None or omitting.state is None:
            return
        state = omitting.state
        try:
            for above in reversed(path):
                state = state_transition(state, self._context.genesis, above, self._context.now)
        except InvalidBlock:
            return
        omitting.files_since = self._context.now
        del self._omitting[omitting.block.hash]
        self._waiting[omitting.block.hash] = omitting

    def _reject(self, block: Block, reason: str) -> None:
        """Refuse for good: the hash stands for header and body, so it can't become valid."""
        self._invalid[block.hash] = None
        if len(self._invalid) > _MAXIMUM_INVALID:
            del self._invalid[next(iter(self._invalid))]
        self._refuse(block, reason)

    def _refuse(self, block: Block, reason: str) -> None:
        name = block.hash.hex()
        self._context.refuse(
            "block", name, block.header.miner, f"block {block.header.index} {name[:12]}: {reason}"
        )
        self._waiting.pop(block.hash, None)
