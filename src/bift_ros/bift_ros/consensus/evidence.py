"""Evidence out of quorums: who of their voters contradicts itself.

Certificates for two rivals always leave some. Let the first be of round *c*. If the second is of
*c* too, both quorums hold more than two thirds of the members where the branches part, so more than
a third are in both. If it is of a later round, its prevotes name a source, whose prevotes name one
before it, and so on down to the genesis. A link of this chain leads to a round after *c* from one
before *c*: its voters and those of the first certificate share more than a third of the members
after a block of both paths, and whoever is in both has forgotten its precommit. Or a link ends in
*c*: then a rival of the first certificate's block was justified in that very round, by prevotes
that contradict those for it. Honest members have taken up each of these quorums before they voted.
"""

from __future__ import annotations

from collections.abc import Iterable

from bift_ros.consensus.double_votes import double_vote
from bift_ros.consensus.exceptions import BadSignature
from bift_ros.consensus.payloads import DoubleVote
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import is_signed
from bift_ros.consensus.votes import Vote, contradict


def contradictions(shown: Quorum, kept: Iterable[Quorum]) -> dict[str, tuple[Vote, Vote]]:
    """Give a vote in `shown` and one in `kept` of each member that no honest one casts both."""
    said = {vote.sender: vote for vote in shown.votes}
    found: dict[str, tuple[Vote, Vote]] = {}
    for quorum in kept:
        if contradict(shown.stage, shown.statement, quorum.stage, quorum.statement):
            for vote in quorum.votes:
                if vote.sender in said:
                    found.setdefault(vote.sender, (said[vote.sender], vote))
    return found


def evidence_against(state: State, shown: Quorum, kept: Iterable[Quorum]) -> list[DoubleVote]:
    """Give evidence against those who are members in `state`.

    `kept` was checked; a vote in `shown` that its sender did not cast raises BadSignature.
    """
    found = []
    for sender, (vote, other) in sorted(contradictions(shown, kept).items()):
        member = state.members.get(sender)
        if member is None:
            continue
        if not is_signed(vote, member.public_key, state.genesis_hash):
            raise BadSignature(f"the vote of {sender} in a quorum is not signed by it")
        found.append(double_vote(vote, other))
    return found
