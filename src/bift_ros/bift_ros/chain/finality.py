"""What votes have settled: the last final block, and the one justified in the highest round.

A block is **justified** by a quorum of prevotes, and **final** by one of precommits. Only blocks
that stand on the justified one can be the tip; among them fork choice decides. The justified block
may move to another branch by a higher round, but never off the last final one, which nothing ever
leaves. An owner's checkpoint is final once it is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bift_ros.chain.interface import MAX_QUORUMS, Store
from bift_ros.consensus.exceptions import (
    BadQuorum,
    ConflictsWithFinal,
    FieldError,
    NotOnFinal,
    UnknownVoted,
)
from bift_ros.consensus.fork_choice import (
    BlockNode,
    branch_above,
    fork_point,
    outranks,
    stands_on,
)
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.quorums import Members, Quorum, check_quorum, is_quorum
from bift_ros.consensus.state import State
from bift_ros.consensus.state_bytes import state_digest
from bift_ros.consensus.votes import Stage, Statement

_MAX_KNOWN = len(Stage) * MAX_QUORUMS
_MAX_EPOCHS = 64
_CHECKPOINT = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")


@dataclass(frozen=True)
class Checkpoint:
    """A block of which a vehicle's owner says that it is final."""

    height: int
    """Its height."""
    hash: bytes
    """Its hash."""

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read `HEIGHT:HASH`, the hash in hex digits; raises FieldError."""
        found = _CHECKPOINT.fullmatch(text)
        if found is None:
            raise FieldError(f"checkpoint: {text!r:.100} is not HEIGHT:HASH")
        return cls(int(found[1]), bytes.fromhex(found[2]))


@dataclass(frozen=True)
class Justified:
    """A block with a quorum of prevotes."""

    round: int
    """In which round; 0 for the genesis."""
    node: BlockNode
    """The block."""


class Placed(Protocol):
    """What says where a block stands: its header, or a row of the store."""

    @property
    def hash(self) -> bytes:
        """The block's."""

    @property
    def height(self) -> int:
        """The block's."""

    @property
    def previous_hash(self) -> bytes:
        """The parent's."""


class Tree(Protocol):
    """What finality wants of the tree of blocks."""

    genesis: Genesis
    store: Store

    def node(self, block_hash: bytes) -> BlockNode | None:
        """Give a block's place in the tree, or None."""

    def state_at(self, block_hash: bytes) -> State:
        """Give the state after a block of the tree."""


class Finality:
    """The final and the justified block of one tree."""

    def __init__(self, tree: Tree, root: BlockNode, checkpoint: Checkpoint | None) -> None:
        """Begin with the tree's lowest block as the final one."""
        self._tree, self._root, self._checkpoint = tree, root, checkpoint
        self.final = root
        """The last final block: nothing ever leaves it."""
        self.certificate: Quorum | None = None
        """What proves it so; None of the genesis or a checkpoint, which are taken on trust."""
        self.justified = Justified(0, root)
        """The block justified in the highest round."""
        self._known = {(0, tree.genesis.hash)}
        self._members: dict[bytes, Members] = {}
        """Epoch → members."""

    @property
    def base(self) -> BlockNode:
        """The block that the tip must stand on."""
        justified = self.justified.node
        return justified if stands_on(justified, self.final) else self.final

    # --- blocks -----------------------------------------------------------------------------

    def check_place(self, header: Placed) -> None:
        """Refuse a block that can't stand on the final one, at little cost; raises NotOnFinal."""
        final, point = self.final, self._checkpoint
        parent = self._tree.node(header.previous_hash)
        if header.height <= final.height or (parent is not None and not stands_on(parent, final)):
            raise NotOnFinal(
                f"block {final.height} ({final.hash.hex()[:16]}…) is final, and this one of "
                f"height {header.height} does not stand on it"
            )
        if point is not None and header.height == point.height and header.hash != point.hash:
            raise NotOnFinal(f"it stands in the place of the checkpoint {point.hash.hex()[:16]}…")

    def allows(self, header: Placed) -> bool:
        """Tell whether the parent is here and the block may stand on it."""
        try:
            self.check_place(header)
        except NotOnFinal:
            return False
        return self._tree.node(header.previous_hash) is not None

    def added(self, node: BlockNode) -> None:
        """Note a new block: the owner's checkpoint is final from now on."""
        point = self._checkpoint
        if point is None or (node.height, node.hash) != (point.height, point.hash):
            return
        self.final, self.certificate = node, None
        if not stands_on(node, self.justified.node):
            self.justified = Justified(0, self._root)

    # --- votes ------------------------------------------------------------------------------

    def electorates(self, node: BlockNode, base: BlockNode | None = None) -> list[Members]:
        """Give the different memberships from `base`, by default the final block, up to `node`.

        Both are included; `node` must stand on `base`.
        """
        base = base or self.final
        last = {one.epoch: one for one in (base, *branch_above(node, base))}
        return [self._members_after(one) for one in last.values()]

    def is_justified(self, round_: int, block_hash: bytes) -> bool:
        """Tell whether votes of that round are known that justify the block."""
        return (round_, block_hash) in self._known

    def justify(self, quorum: Quorum) -> None:
        """Take up a quorum of prevotes (see `Blockchain`)."""
        node = self._voted_in(quorum, Stage.PREVOTE)
        if node is self.final or not stands_on(self.final, node):
            self._check_source(quorum.statement, node)
            self._take_up(quorum, node)

    def finalize(self, certificate: Quorum) -> None:
        """Take up a quorum of precommits (see `Blockchain`).

        It needs no justification beside it: honest members among the voters have seen one.
        """
        node = self._voted_in(certificate, Stage.PRECOMMIT)
        is_older = stands_on(self.final, node)
        if node is self.final:
            known = self.certificate
            is_older = known is not None and known.statement.round >= certificate.statement.round
        if not is_older:
            self._take_up(certificate, node)

    def recall(self) -> None:
        """Take up the quorums that are stored: they were checked before. Raises BadQuorum."""
        store = self._tree.store
        for quorum in (*store.quorums(Stage.PRECOMMIT), *store.quorums(Stage.PREVOTE)):
            node = self._tree.node(quorum.statement.hash)
            if node is None or not stands_on(node, self.final):
                continue
            voters = [voter for voter, _ in quorum.signatures]
            if not is_quorum(voters, self.electorates(node, node)):
                raise BadQuorum("stored votes are no quorum")
            self._note(quorum, node)

    def _voted_in(self, quorum: Quorum, stage: Stage) -> BlockNode:
        statement = quorum.statement
        node = self._tree.node(statement.hash)
        if quorum.stage is not stage:
            raise BadQuorum(f"its votes are no {stage.name.lower()}s")
        if node is None:
            raise UnknownVoted(f"the block {statement.hash.hex()[:16]}… is not here")
        if node.height != statement.height:
            raise BadQuorum(f"block {node.height} has votes for height {statement.height}")
        return node

    def _check_source(self, statement: Statement, node: BlockNode) -> None:
        if not self.is_justified(statement.source_round, statement.source_hash):
            raise UnknownVoted(
                f"nothing here justifies the source {statement.source_hash.hex()[:16]}… in round "
                f"{statement.source_round}"
            )
        source = self._tree.node(statement.source_hash)
        if source is not None and not stands_on(node, source):
            raise BadQuorum("the source does not stand below the block")

    def _take_up(self, quorum: Quorum, node: BlockNode) -> None:
        final = self.final
        electorates = self.electorates(node, fork_point(final, node))
        quorum = quorum.among(electorates)
        check_quorum(quorum, self._tree.genesis, electorates)
        if not stands_on(node, final):
            raise ConflictsWithFinal(
                f"enough members vote for block {node.height} ({node.hash.hex()[:16]}…), but block "
                f"{final.height} ({final.hash.hex()[:16]}…) is final on another branch"
            )
        if quorum.statement.state_digest != state_digest(self._tree.state_at(node.hash)):
            raise BadQuorum(f"its votes are for another state after block {node.height}")
        changes = quorum.stage is Stage.PRECOMMIT and node.epoch != final.epoch
        self._tree.store.keep_quorum(quorum, lasting=changes)
        self._note(quorum, node)

    def _note(self, quorum: Quorum, node: BlockNode) -> None:
        round_ = quorum.statement.round
        self._known.add((round_, node.hash))
        if len(self._known) > _MAX_KNOWN:
            self._known.remove(min(self._known))
        if quorum.stage is Stage.PRECOMMIT:
            self.final, self.certificate = node, quorum
        if round_ > self.justified.round or not stands_on(self.justified.node, self.final):
            self.justified = Justified(round_, node)

    def _members_after(self, node: BlockNode) -> Members:
        if node.epoch not in self._members:
            if len(self._members) >= _MAX_EPOCHS:
                del self._members[next(iter(self._members))]
            self._members[node.epoch] = self._tree.state_at(node.hash).members
        return self._members[node.epoch]


def best_on(base: BlockNode, nodes: Iterable[BlockNode]) -> BlockNode:
    """Give what fork choice prefers among the blocks that stand on `base`.

    `nodes` are all of a tree, parents before children.
    """
    best, standing = base, {base}
    for node in nodes:
        if node.parent in standing:
            standing.add(node)
            best = node if outranks(node, best) else best
    return best
