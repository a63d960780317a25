"""The tree of accepted blocks, and the state at each of them.

The tree stands on the genesis, and later on the last final block of which there is a snapshot:
what is older is on its branch for good. The state after every so many blocks is stored, so neither
a start nor a block on an old parent replays more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from bift_ros.chain.branch_states import (
    STATE_SPACING,
    BranchStates,
    bytes_to_store,
    stored_block,
)
from bift_ros.chain.certificates import check_certificate
from bift_ros.chain.exceptions import StoreError
from bift_ros.chain.finality import Checkpoint, Finality, best_on
from bift_ros.chain.interface import Base, Snapshot, Standing, Store
from bift_ros.consensus.blocks import Block, SignedHeader
from bift_ros.consensus.encoding import decode, encode
from bift_ros.consensus.evidence import evidence_against
from bift_ros.consensus.exceptions import BadQuorum, InvalidBlock, MalformedState
from bift_ros.consensus.fork_choice import (
    BlockNode,
    branch_above,
    fork_point,
    outranks,
    stands_on,
)
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.payloads import DoubleVote
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.state import State, initial_state
from bift_ros.consensus.state_bytes import parse_state, state_bytes
from bift_ros.consensus.transition import state_transition
from bift_ros.consensus.votes import Stage

KEPT_BLOCKS = 512
"""Blocks below the older snapshot that are kept, for those who are not far behind."""
_KNOWN = "known members"


@dataclass(frozen=True)
class Reorg:
    """How the chain changed when a block moved the tip."""

    removed: tuple[Block, ...]
    """The blocks that left the chain, lowest first; none where the block extends the tip."""
    added: tuple[Block, ...]
    """The blocks that joined the chain, lowest first; the last is the tip."""


class Blockchain:
    """All accepted blocks, over a store; the caller validates a block before it adds it."""

    def __init__(
        self,
        genesis: Genesis,
        store: Store,
        *,
        keep_all: bool = False,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        """Take up what the store has; `keep_all`: remove no block of the chain from it.

        Blocks that do not hold the owner's `checkpoint` are no part of the tree.

        A stored block that breaks the rules is damage: the store is told to start afresh. Raises
        StoreError.
        """
        self.genesis = genesis
        self.store = store
        self._keep_all, self._checkpoint = keep_all, checkpoint
        self.known_members = dict(genesis.by_address)
        """Everybody who is or was a member on any branch, by address."""
        for member in _recalled(store.note(_KNOWN)):
            self.known_members[member.address] = member
        self._root: BlockNode
        self._tip: BlockNode
        self._base: BlockNode
        """What the tip was chosen to stand on."""
        self._nodes: dict[bytes, BlockNode]
        self._states: BranchStates
        self._tip_state: State
        self.finality: Finality
        """What votes have settled."""
        self._stand_on(self._last_final())
        try:
            self._load()
        except (InvalidBlock, BadQuorum) as error:
            store.discard(f"a stored block is invalid: {error}")
            self._stand_on(initial_state(genesis))
        if checkpoint is not None:
            self._check_below(checkpoint)

    @property
    def root(self) -> BlockNode:
        """The tree's lowest block: no other branch than those above it is followed."""
        return self._root

    @property
    def tip(self) -> BlockNode:
        """The chain's last block."""
        return self._tip

    @property
    def tip_state(self) -> State:
        """The state after the chain's last block."""
        if self._tip_state.tip_hash != self._tip.hash:
            self._tip_state = self.state_at(self._tip.hash)
        return self._tip_state

    def has(self, block_hash: bytes) -> bool:
        """Tell whether the block is in the tree or below it, as far as it is kept."""
        return block_hash in self._nodes or self.store.has(block_hash)

    def node(self, block_hash: bytes) -> BlockNode | None:
        """Give a block's place in the tree, or None."""
        return self._nodes.get(block_hash)

    def block(self, block_hash: bytes) -> Block | None:
        """Give a block of the tree or below it, or None; the genesis is no `Block`."""
        return self.store.block(block_hash)

    def canonical(self, from_height: int, limit: int) -> list[Block]:
        """Give at most `limit` blocks of the chain, upwards from `from_height` or the lowest."""
        return self.store.canonical(from_height, limit)

    def canonical_headers(self, from_height: int, limit: int) -> list[SignedHeader]:
        """Give the headers of `canonical`'s blocks."""
        return self.store.canonical_headers(from_height, limit)

    def state_at(self, block_hash: bytes) -> State:
        """Give the state after a block of the tree, recomputed from the nearest one kept.

        Raises KeyError for a block that is not in the tree.
        """
        return self._states.at(self._nodes[block_hash])

    def add(self, block: Block, state: State) -> Reorg | None:
        """Add a valid block with the state after it; tell how the chain changed, or None.

        A known block changes nothing. Raises InvalidBlock where the parent is unknown, and
        StoreError, in which case nothing changed.
        """
        if state.tip_hash != block.hash:
            raise ValueError("the state is not the one after the block")
        if block.hash in self._nodes:
            return None
        node, old = self._make_node(block, state), self._tip
        self.finality.check_place(block.header)
        leads = outranks(node, old) and stands_on(node, self.finality.base)
        self._know(state)
        weight, work = state.learning_weight, state.work
        standing = Standing(weight, work, state.epoch, bytes_to_store(state))
        if leads:
            self.store.accept(block, node.hash, standing)
            self._tip = node
        else:
            self.store.add(block, standing)
        self._nodes[node.hash] = node
        self._states.keep(state)
        self.finality.added(node)
        if not leads:
            return self._move_to_base()
        return Reorg((), (block,)) if node.parent is old else self._reorg(old, node)

    def justify(self, quorum: Quorum) -> Reorg | None:
        """Take up a quorum of prevotes, of any round; tell how the chain changed, or None.

        Raises UnknownVoted where the block or the justification of its source is missing,
        ConflictsWithFinal, BadQuorum, BadSignature or StoreError.
        """
        self.finality.justify(quorum)
        return self._move_to_base()

    def finalize(self, certificate: Quorum) -> Reorg | None:
        """Take up a quorum of precommits, of any round; tell how the chain changed, or None.

        Raises as `justify` does.
        """
        self.finality.finalize(certificate)
        reorg, final, proof = self._move_to_base(), self.finality.final, self.finality.certificate
        if proof is not None and final.height >= self._root.height + STATE_SPACING:
            with suppress(StoreError):  # it only spares; the next certificate tries again
                self._settle(final, proof)
        return reorg

    def evidence(self, shown: Quorum) -> list[DoubleVote]:
        """Give what a quorum proves beside those kept here, whatever block it is for.

        Only present members are accused. Raises BadSignature.
        """
        kept = [quorum for stage in Stage for quorum in self.store.quorums(stage)]
        return evidence_against(self.tip_state, shown, kept)

    def _settle(self, node: BlockNode, certificate: Quorum) -> None:
        """Have the tree stand on a final block: keep a snapshot of it, and drop what is older."""
        state = self.state_at(node.hash)
        before = branch_above(node, self._root)[:-1]
        alive = {node}
        for other in self._nodes.values():  # parents before children
            if other.parent in alive:
                alive.add(other)
        dead = self._nodes.keys() - {n.hash for n in (*alive, *before, self._root)}
        snapshot = Snapshot(node.hash, node.height, state_bytes(state), certificate.to_bytes())
        self.store.keep_snapshot(snapshot, self._next_base(), dead)
        node.parent = None
        self._root = node
        self._nodes = {name: n for name, n in self._nodes.items() if n in alive}
        self._states.stand_on(state, self._nodes)

    def start_from(self, snapshot: Snapshot) -> None:
        """Leave what is here for the state after a block that members have shown to be final.

        Raises MalformedState or StoreError, or BadQuorum or BadSignature where its own members have
        not voted for it.
        """
        state = _state_in(snapshot, self.genesis)
        certificate = check_certificate(snapshot, state, self.genesis, [state.members])
        self.store.start_from(snapshot)
        self.store.keep_quorum(certificate, lasting=True)
        self._stand_on(state)
        self.finality.recall()

    def _next_base(self) -> Base:
        """What the kept blocks stand on once there is a newer snapshot than those so far."""
        base, snapshots = self.store.base, self.store.snapshots()
        if self._keep_all or not snapshots:
            return base
        height = (snapshots[0].height - KEPT_BLOCKS) // STATE_SPACING * STATE_SPACING
        lowest = self.store.canonical(height, 1) if height > base.height else []
        return Base(lowest[0].hash, height) if lowest else base

    def prefer(self, block_hash: bytes) -> Reorg | None:
        """Move the tip to the end of a block's branch where it ties with the chain's; else None.

        A tie is one of learning weight and of work: see `fork_choice`. Only blocks without learning
        can stand above the block then, maybe this vehicle's own: it must not make another there.
        """
        block, old = self._nodes[block_hash], self._tip
        if not _tie(block, old) or stands_on(old, block):
            return None
        if not stands_on(block, self.finality.base):
            return None
        return self._move_to(best_on(block, self._nodes.values()))

    def beside(self) -> Iterator[Block]:
        """Give the blocks on other branches than the chain's, above the final one."""
        for node in self._nodes.values():
            if node.height > self.finality.final.height and not stands_on(self._tip, node):
                yield stored_block(self.store, node.hash)

    def _move_to_base(self) -> Reorg | None:
        """Leave a tip that does not stand where it must, or is not the best there any more."""
        base, before, old = self.finality.base, self._base, self._tip
        best = old
        if not stands_on(base, before) or not stands_on(old, base):
            best = best_on(base, self._nodes.values())
        if stands_on(old, base) and _tie(old, best):
            best = old
        reorg = self._move_to(best) if best is not old else None
        self._base = base
        return reorg

    def _move_to(self, new: BlockNode) -> Reorg:
        old = self._tip
        self.store.set_tip(new.hash)
        self._tip = new
        return self._reorg(old, new)

    def _reorg(self, old: BlockNode, new: BlockNode) -> Reorg:
        fork = fork_point(old, new)
        return Reorg(
            tuple(stored_block(self.store, gone.hash) for gone in branch_above(old, fork)),
            tuple(stored_block(self.store, come.hash) for come in branch_above(new, fork)),
        )

    def _last_final(self) -> State:
        """The state after the last final block of which there is a snapshot, or the genesis'."""
        for snapshot in self.store.snapshots():
            try:
                return _state_in(snapshot, self.genesis)
            except MalformedState:
                continue
        if self.store.base.height:
            self.store.discard("it has no snapshot that can be read")
        return initial_state(self.genesis)

    def _stand_on(self, state: State) -> None:
        """Begin the tree with one block."""
        self._root = self._tip = self._base = BlockNode(
            state.tip_hash, state.height, None, state.learning_weight, state.work, state.epoch
        )
        self._nodes = {state.tip_hash: self._root}
        self._states = BranchStates(self.genesis, self.store, state)
        self.finality = Finality(self, self._root, self._checkpoint)
        self._tip_state = state
        self._know(state)

    def _load(self) -> None:
        """Take up the stored blocks above the root; one without a standing is replayed."""
        for stored in self.store.nodes(self._root.height):
            parent, standing = self._nodes.get(stored.previous_hash), stored.standing
            if parent is None or not self.finality.allows(stored):
                continue  # on a branch that was left for good
            if standing is None:
                block, state = stored_block(self.store, stored.hash), self._states.at(parent)
                state = state_transition(state, self.genesis, block, block.header.timestamp)
                node = self._make_node(block, state)
                self._states.keep(state)
                self._know(state)
            else:
                weight, work = standing.learning_weight, standing.work
                node = BlockNode(stored.hash, stored.height, parent, weight, work, standing.epoch)
            self._nodes[node.hash] = node
            self.finality.added(node)
        self.finality.recall()
        self._base, kept = self.finality.base, self._nodes.get(self.store.tip)
        self._tip = best = best_on(self._base, self._nodes.values())
        if kept is not None and stands_on(kept, self._base) and not stands_on(best, kept):
            self._tip = kept if _tie(kept, best) else best  # the peer had preferred it
        if kept is not self._tip:
            self.store.set_tip(self._tip.hash)

    def _check_below(self, checkpoint: Checkpoint) -> None:
        """Refuse a chain that is final without the owner's checkpoint, as far as it is kept."""
        height = checkpoint.height
        kept = {block.header.height: block.hash for block in self.store.canonical(height, 1)}
        if height <= self._root.height and kept.get(height, checkpoint.hash) != checkpoint.hash:
            raise StoreError(
                f"the chain here is final up to block {self._root.height} without the checkpoint "
                f"{height}:{checkpoint.hash.hex()}: correct that, or move the database away"
            )

    def _make_node(self, block: Block, state: State) -> BlockNode:
        parent = self._nodes.get(block.header.previous_hash)
        if parent is None:
            raise InvalidBlock(f"the parent {block.header.previous_hash.hex()[:16]}… is unknown")
        weight, work = state.learning_weight, state.work
        return BlockNode(block.hash, state.height, parent, weight, work, state.epoch)

    def _know(self, state: State) -> None:
        """Note who has joined: blocks that told of it may be gone at the next start."""
        if state.members.keys() <= self.known_members.keys():
            return
        self.known_members.update(state.members)
        known = [[member.name, member.public_key] for member in self.known_members.values()]
        self.store.set_note(_KNOWN, encode(known))


def _tie(a: BlockNode, b: BlockNode) -> bool:
    return (a.learning_weight, a.work) == (b.learning_weight, b.work)


def _state_in(snapshot: Snapshot, genesis: Genesis) -> State:
    state = parse_state(snapshot.state, genesis)
    if (state.tip_hash, state.height) != (snapshot.hash, snapshot.height):
        raise MalformedState("the snapshot is of another block")
    return state


def _recalled(note: bytes | None) -> list[Member]:
    return [Member(name, public_key) for name, public_key in decode(note)] if note else []
