"""Blocks from outside: wait for their parent and files, check everything, hand over the good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bift_ros.consensus.authorship import check_authorship
from bift_ros.consensus.blocks import MAX_BLOCK_BYTES, Block
from bift_ros.consensus.exceptions import (
    BlockTooLarge,
    BodyMismatch,
    InvalidBlock,
    WrongTimestamp,
)
from bift_ros.consensus.model_check import ComputedModel, compare_model
from bift_ros.consensus.state import State
from bift_ros.consensus.transition import state_transition
from bift_ros.peer.block_files import BlockFiles
from bift_ros.peer.context import Context
from bift_ros.peer.disputes import Disputes
from bift_ros.peer.equivocation import Equivocations
from bift_ros.peer.fair_bound import drop_of_most
from bift_ros.peer.fairness import Fairness

_MAXIMUM_INVALID = 4096
_MAXIMUM_FETCHING = 4
"""Blocks of one miner that may wait for files at a time: an honest one has hardly two."""
_LOOK_MS = 200
"""How often time alone may bring a block further: its files are asked for again."""


@dataclass(frozen=True)
class CheckedBlock:
    """A block that passed every check, with the state after it."""

    block: Block
    state: State
    parent: State
    made: ComputedModel | None
    """The new global model, where the block makes one."""


@dataclass
class _Waiting:
    block: Block
    since: int
    files: BlockFiles | None = None
    """Set once its parent is here."""
    state: State | None = None
    """State after the block, once everything but PoFL has been checked."""


class BlockImport:
    """Blocks under way from "heard of" to "checked". Bounded, each member's part too."""

    def __init__(
        self,
        context: Context,
        fairness: Fairness,
        disputes: Disputes,
        equivocations: Equivocations,
    ) -> None:
        self._context, self._fairness = context, fairness
        self._disputes, self._equivocations = disputes, equivocations
        self._waiting: dict[bytes, _Waiting] = {}
        self._disputed: dict[bytes, _Waiting] = {}
        self._invalid: dict[bytes, None] = {}
        self._changed = False
        """Whether a block may have come further."""
        self._given: _Waiting | None = None
        self._looked_at = 0
        """When every block was last looked at, also those for which nothing came."""

    @property
    def waiting(self) -> int:
        """How many blocks wait for a parent, for files, or for a dispute to end."""
        return len(self._waiting) + len(self._disputed)

    def needed(self) -> set[str]:
        """The files that blocks under way need in memory."""
        waited = (waiting.files for waiting in self._waiting.values())
        return {cid for files in waited if files is not None for cid in files.needed}

    def add(self, block: Block) -> None:
        """Take a block in that a member vouches for; one that is known already does nothing."""
        name = block.hash
        if self.has(name) or self.rejects(name):
            return
        try:
            self._check_on_arrival(block)
        except InvalidBlock as error:
            self._refuse(block, str(error))
            return
        if self.rejects(block.header.previous_hash):
            self._reject(block, "its parent block is invalid")
            return
        self._waiting[name] = _Waiting(block, self._context.now)
        self._changed = True
        if len(self._waiting) > self._context.config.maximum_waiting_blocks:
            self._make_room()

    def _make_room(self) -> None:
        """Drop the highest block of the miner that has most here, those without parent first.

        So whoever fills this with its own blocks drives out no other member's.
        """
        count = Counter(waiting.block.header.miner for waiting in self._waiting.values())

        def worth(waiting: _Waiting) -> tuple[int, bool, int]:
            header = waiting.block.header
            return count[header.miner], waiting.files is None, header.height

        del self._waiting[max(self._waiting.values(), key=worth).block.hash]

    def put_back(self) -> None:
        """Have the last block that was handed over wait again: it could not be kept just now."""
        assert self._given is not None, "a block was handed over"
        self._waiting[self._given.block.hash] = self._given
        self._changed = True

    def rejects(self, block_hash: bytes) -> bool:
        """Whether the block was found invalid for good."""
        return block_hash in self._invalid

    def has(self, block_hash: bytes) -> bool:
        """Whether the block is here, whatever it waits for."""
        return (
            block_hash in self._waiting
            or block_hash in self._disputed
            or self._context.chain.has(block_hash)
        )

    def parent_of(self, block_hash: bytes) -> bytes | None:
        """The parent of a block that waits or is disputed, or None."""
        waiting = self._waiting.get(block_hash) or self._disputed.get(block_hash)
        return waiting.block.header.previous_hash if waiting is not None else None

    def orphan_miners(self) -> list[str]:
        """The miners of blocks whose parent nobody has given us."""
        return [
            waiting.block.header.miner
            for waiting in self._waiting.values()
            if waiting.files is None and not self.has(waiting.block.header.previous_hash)
        ]

    def settle_disputes(self) -> None:
        """Take up again the disputed blocks whose dispute has ended."""
        for name, waiting in list(self._disputed.items()):
            if self._disputes.settled(waiting.block.header, self.parent_of):
                del self._disputed[name]
                self._waiting[name] = waiting
                if waiting.files is not None:
                    waiting.files.since = self._context.now

    def look_again(self) -> None:
        """A file came, or time has passed: some block may have come further."""
        self._changed = bool(self._waiting)

    def file_unfit(self, cid: str, reason: str) -> None:
        """Wait no longer for a file that can't be what a block takes it for."""
        for waiting in list(self._waiting.values()):
            if waiting.files is not None and cid in waiting.files.missing:
                self._refuse(waiting.block, f"the file {cid} is none of its: {reason}")

    def checked(self) -> Iterator[CheckedBlock]:
        """Yield blocks whose checks are complete, parents first, until none is left."""
        progress, self._changed = self._changed, False
        timed = self._context.now - self._looked_at >= _LOOK_MS
        if progress and timed:
            self._looked_at = self._context.now
        while progress:
            progress = False
            for waiting in sorted(self._waiting.values(), key=lambda w: w.block.header.height):
                if self._is_stuck(waiting, timed):
                    continue
                result = self._advance(waiting)
                if result is not None:
                    yield result
                    progress = True
            timed = False

    def _is_stuck(self, waiting: _Waiting, timed: bool) -> bool:
        """Whether nothing has come that the block waits for, and it may wait on."""
        context = self._context
        if waiting.files is None:
            previous = waiting.block.header.previous_hash
            if context.chain.node(previous) is not None or self.rejects(previous):
                return False
            return context.now - waiting.since <= context.config.file_wait_ms
        return not timed and any(cid not in context.files for cid in waiting.files.missing)

    def _check_on_arrival(self, block: Block) -> None:
        """Keep nothing that cost nobody work, and nothing under a true header with a false body.

        Nor a block that says nothing: it would only cost every miner the search under way.
        """
        context = self._context
        context.chain.finality.check_place(block.header)
        # Whether the miner is a member on this very branch is known once the parent is.
        known = context.chain.known_members
        check_authorship(block.header, block.signature, context.genesis, known)
        if block.body.hash != block.header.body_hash:
            raise BodyMismatch("the body is not the one that the header names")
        if len(block.to_bytes()) > MAX_BLOCK_BYTES:  # it might wait here for its parent
            raise BlockTooLarge(f"it has over {MAX_BLOCK_BYTES} bytes")
        if not block.body.transactions:
            raise InvalidBlock("it holds no transaction")
        self._equivocations.note(block.signed_header)

    def _advance(self, waiting: _Waiting) -> CheckedBlock | None:
        block, context = waiting.block, self._context
        if waiting.files is not None and context.chain.node(block.header.previous_hash) is None:
            self._refuse(block, "another branch has become final")
            return None
        try:
            context.chain.finality.check_place(block.header)  # another may be final by now
            files = waiting.files or self._parent_here(waiting)
            if files is None:
                return None
            if waiting.state is None:
                waiting.state = state_transition(
                    files.parent, context.genesis, block, context.latest
                )
                if self._is_disputed(waiting, files.parent):
                    return None
            made = None
            if block.header.model_flag:
                if not self._files_here(waiting, files):
                    return None
                made = context.compute(files.parent, block.body.transactions)
                compare_model(block, made)
        except WrongTimestamp as error:
            self._refuse(block, str(error))  # it may come again when its time has come
            return None
        except InvalidBlock as error:
            self._reject(block, str(error))
            return None
        self._given = self._waiting.pop(block.hash)
        return CheckedBlock(block, waiting.state, files.parent, made)

    def _parent_here(self, waiting: _Waiting) -> BlockFiles | None:
        """What the check of a block needs, once its parent has been accepted."""
        context, previous = self._context, waiting.block.header.previous_hash
        if context.chain.node(previous) is not None:
            state = context.chain.state_at(previous)
            waiting.files = BlockFiles(context, waiting.block, state)
            return waiting.files
        if self.rejects(previous):
            self._reject(waiting.block, "its parent block is invalid")
        elif not self.has(previous) and context.now - waiting.since > context.config.file_wait_ms:
            self._refuse(waiting.block, "its parent block can't be had")
        return None

    def _files_here(self, waiting: _Waiting, files: BlockFiles) -> bool:
        """Whether every file that PoFL needs is in memory; asks for the missing ones."""
        files.look()
        if not files.missing and not self._context.can_write(files.parent):
            self._context.locked_out = True
            if files.waited:
                self._refuse(waiting.block, "this vehicle has no key to its model (yet)")
            return False
        if files.missing and files.waited:
            self._refuse(waiting.block, f"the file {min(files.missing)} can't be had from anyone")
        elif files.missing and self._fetching(waiting.block.header.miner) > _MAXIMUM_FETCHING:
            reason = f"{_MAXIMUM_FETCHING} other blocks of its miner wait for files"
            self._refuse(waiting.block, reason)
        elif files.missing:
            files.ask()
        return not files.missing

    def _fetching(self, miner: str) -> int:
        """How many blocks of a miner wait for files."""
        theirs = (w.files for w in self._waiting.values() if w.block.header.miner == miner)
        return sum(files is not None and bool(files.missing) for files in theirs)

    def _is_disputed(self, waiting: _Waiting, parent: State) -> bool:
        """Whether this vehicle holds something against a valid block; it is kept aside then."""
        block = waiting.block
        if block.header.miner == self._context.key.address:
            return False
        if self._disputes.is_voted_for(block.hash, self.parent_of):
            return False
        objection = self._equivocations.objection(block.header)
        objection = objection or self._fairness.objection(block, parent, waiting.since)
        if objection is None:
            return False
        self._refuse(block, objection)
        self._disputed[block.hash] = waiting
        self._disputes.begin(block.header)
        if len(self._disputed) > self._context.config.maximum_waiting_blocks:
            drop_of_most(self._disputed, lambda waiting: waiting.block.header.miner)
        return True

    def _reject(self, block: Block, reason: str) -> None:
        """Refuse for good: the hash stands for header and body, so it can't become valid."""
        self._invalid[block.hash] = None
        if len(self._invalid) > _MAXIMUM_INVALID:
            del self._invalid[next(iter(self._invalid))]
        self._refuse(block, reason)

    def _refuse(self, block: Block, reason: str) -> None:
        name = block.hash.hex()
        self._context.refuse(
            "block", name, block.header.miner, f"block {block.header.height} {name[:12]}: {reason}"
        )
        self._waiting.pop(block.hash, None)
