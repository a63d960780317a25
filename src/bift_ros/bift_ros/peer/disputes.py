"""How a dispute about a block ends: most members follow it, or nobody is seen to follow another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bift_ros.consensus.blocks import Header
from bift_ros.consensus.fork_choice import fork_point
from bift_ros.consensus.quorums import is_quorum
from bift_ros.consensus.votes import Stage
from bift_ros.peer.context import Context
from bift_ros.peer.fair_bound import drop_of_most
from bift_ros.peer.tip_tracker import TipTracker
from bift_ros.peer.vote_book import VoteBook

_LOOK_MS = 3_000
"""How often the members are counted: tips come no faster."""
ParentOf = Callable[[bytes], "bytes | None"]
"""The parent of a block that is not in the tree yet."""


@dataclass
class _Dispute:
    """About one block."""

    miner: str
    since: int
    looked_at: int = 0
    """When the members were last counted."""


class Disputes:
    """Counts the members on either side, by their signed tips.

    A block for which a quorum votes is beyond dispute, and all below it. With more than half of all
    members on the block, this vehicle's own view was the odd one. With
    more than half on other blocks above the same parent, the block stays out, as long as they get
    on without those who follow it. Where neither can be seen for a while, or the fleet stands
    still, it may be split over the block, and fork choice decides: it gives everybody the same
    answer.
    """

    def __init__(self, context: Context, tips: TipTracker, book: VoteBook) -> None:
        self._context, self._tips, self._book = context, tips, book
        self._disputes: dict[bytes, _Dispute] = {}
        self._learnt = (-1, 0)
        """The learning weight of the chain at the last look, and since when it has not grown."""
        self._most = (b"", 0)
        """The fork on whose other side most members are seen, and since when."""

    def begin(self, header: Header) -> None:
        """Note when the dispute about a block began."""
        self._disputes.setdefault(header.hash, _Dispute(header.miner, self._context.now))
        if len(self._disputes) > self._context.config.maximum_waiting_blocks:
            drop_of_most(self._disputes, lambda dispute: dispute.miner)

    def settled(self, header: Header, parent_of: ParentOf) -> bool:
        """Whether a disputed block is to be followed where it outweighs the tip."""
        context = self._context
        if self.is_voted_for(header.hash, parent_of):
            return True
        dispute = self._disputes.setdefault(header.hash, _Dispute(header.miner, context.now))
        if context.now - dispute.looked_at < _LOOK_MS:
            return False
        dispute.looked_at = context.now
        majority = len(context.members) // 2 + 1
        elsewhere = int(self._stands_above(context.chain.tip.hash, header.previous_hash))
        on_it = 0
        for tip_hash, members in self._tips.counts.items():
            if self._leads_to(tip_hash, header.hash, parent_of):
                on_it += members
            elif self._stands_above(tip_hash, header.previous_hash):
                elsewhere += members
        if on_it >= majority:
            return True
        if context.now - dispute.since < context.config.dispute_ms:
            return False
        return elsewhere < majority or self._stands_still()

    def is_voted_for(self, block_hash: bytes, parent_of: ParentOf) -> bool:
        """Whether a quorum has prevoted alike for the block or one above it.

        Nothing is to be held against it any more: it is justified, as soon as it is in the tree.
        """
        electorates = [self._context.members]
        return any(
            stage is Stage.PREVOTE
            and is_quorum(self._book.voters(stage, statement), electorates)
            and self._leads_to(statement.hash, block_hash, parent_of)
            for stage, statement in self._book.said()
        )

    def _stands_still(self) -> bool:
        """Whether the chain has brought no learning for longer than a dispute takes."""
        context = self._context
        weight = context.chain.tip.learning_weight
        if weight != self._learnt[0]:
            self._learnt = (weight, context.now)
        return context.now - self._learnt[1] >= 2 * context.config.dispute_ms

    def majority_tip(self) -> bytes | None:
        """A tip beside this vehicle's own, of the same weight, on whose side most members stand."""
        chain = self._context.chain
        own = chain.tip
        majority = len(self._context.members) // 2 + 1
        counts = self._tips.counts
        tips = [(chain.node(name), members) for name, members in counts.items()]
        for node, _ in tips:
            if node is None or node is own or node.learning_weight != own.learning_weight:
                continue
            if node.work != own.work:
                continue
            fork = fork_point(node, own)
            if fork is node or fork is own:
                continue
            with_it = sum(
                members
                for tip, members in tips
                if tip is not None and fork_point(tip, node).height > fork.height
            )
            if with_it >= majority:
                return node.hash if self._lasts(fork.hash) else None
        self._most = (b"", 0)
        return None

    def _lasts(self, fork_hash: bytes) -> bool:
        """Whether most members have been seen there for a while: tips are a little old."""
        if self._most[0] != fork_hash:
            self._most = (fork_hash, self._context.now)
        return self._context.now - self._most[1] >= _LOOK_MS

    @staticmethod
    def _leads_to(tip_hash: bytes, block_hash: bytes, parent_of: ParentOf) -> bool:
        below: bytes | None = tip_hash
        while below is not None and below != block_hash:
            below = parent_of(below)
        return below is not None

    def _stands_above(self, tip_hash: bytes, parent_hash: bytes) -> bool:
        chain = self._context.chain
        tip, parent = chain.node(tip_hash), chain.node(parent_hash)
        return tip is not None and parent is not None and fork_point(tip, parent) is parent
