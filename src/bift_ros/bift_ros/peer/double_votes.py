"""Members whose own votes contradict each other: the chain is to exclude them."""

from __future__ import annotations

from contextlib import suppress

from bift_ros.consensus.double_votes import double_vote
from bift_ros.consensus.exceptions import InvalidTransaction
from bift_ros.consensus.payloads import DoubleVote
from bift_ros.consensus.votes import Vote
from bift_ros.peer.context import Context
from bift_ros.peer.effects import DoubleVoteFound
from bift_ros.peer.own_transactions import OwnTransactions

_TURN_MS = 1_000
"""All members see a double vote at the same time; each leaves those before it so long."""


class DoubleVotes:
    """Keeps the first proof against each member, and brings it to the chain."""

    def __init__(self, context: Context, own: OwnTransactions) -> None:
        self._context, self._own = context, own
        self._proofs: dict[str, tuple[DoubleVote, int]] = {}
        """Of each such member the evidence, and since when."""

    def found(self, first: Vote, second: Vote) -> None:
        """Take in two votes of one member that no honest one casts both."""
        if first.sender not in self._proofs:
            self._proofs[first.sender] = (double_vote(first, second), self._context.now)
            self._context.emit(DoubleVoteFound(first, second))

    def advance(self) -> None:
        """Send evidence that neither the chain nor another's transaction has."""
        context = self._context
        members = sorted(context.members)
        if not self._proofs or context.key.address not in context.members:
            return
        turn = members.index(context.key.address)
        for accused, (evidence, since) in self._proofs.items():
            if accused not in context.members or context.now - since < turn * _TURN_MS:
                continue
            if not context.mempool.accuses(accused):
                with suppress(InvalidTransaction):  # such as of one who must wait for others first
                    self._own.submit(evidence)
