"""Quorums: the votes of more than two thirds of the members for one statement.

A quorum of prevotes justifies a block in a round; one of precommits is a **certificate**: the block
is final.

Members count by seats, each as much as another. Stake would be no better measure of who is honest:
the chain itself pays it for contributions and moves it by transfers, whereas a seat is given by the
vote of the other members.

Members join and leave by what blocks say, so which members count depends on the branch. A quorum
needs more than two thirds of the members after *every* block on the path from one that is trusted
to be final up to the one voted for, both included (`electorates`). So two certificates for rivals
both hold more than two thirds of the members at the point where their branches part, whoever has
joined or left on either, and more than a third of those have voted for both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from bift_ros.consensus.encoding import decode, encode
from bift_ros.consensus.exceptions import BadQuorum, BadSignature, UnknownSender
from bift_ros.consensus.fields import check_bytes, check_list
from bift_ros.consensus.genesis import MAX_MEMBERS, Genesis, Member
from bift_ros.consensus.transactions import Canonical, is_signed
from bift_ros.consensus.votes import Stage, Statement, Vote, stage_of

MAX_QUORUM_BYTES = 111 * MAX_MEMBERS
_ITEMS = 8
Members = Mapping[str, Member]


@dataclass(frozen=True)
class Quorum(Canonical):
    """Votes of many members for one statement.

    Canonical bytes: `[stage, the statement's fields …, [[sender, signature] …]]`, by sender.
    """

    stage: Stage
    """What they are: prevotes or precommits."""
    statement: Statement
    """What they are for."""
    signatures: tuple[tuple[str, bytes], ...]
    """Each voter's address and signature, in the order of the addresses."""

    @classmethod
    def of(cls, votes: Iterable[Vote]) -> Quorum:
        """Put votes together that agree in stage and statement, at least one."""
        by_sender = {vote.sender: vote for vote in votes}
        ordered = tuple(by_sender[sender] for sender in sorted(by_sender))
        first = ordered[0]
        signatures = tuple((vote.sender, vote.signature) for vote in ordered)
        quorum = cls(first.stage, first.statement, signatures)
        quorum.__dict__["votes"] = ordered  # whose signatures may be known to hold
        return quorum

    @cached_property
    def votes(self) -> tuple[Vote, ...]:
        """The votes one by one."""
        return tuple(
            Vote(sender, self.stage, self.statement, signature)
            for sender, signature in self.signatures
        )

    def among(self, electorates: Iterable[Members]) -> Quorum:
        """Give the votes of those who are members in one of `electorates`.

        Whoever counted from an older final block had votes of members too that have left since.
        """
        kept = set().union(*electorates)
        if all(sender in kept for sender, _ in self.signatures):
            return self
        voters = tuple(voter for voter in self.signatures if voter[0] in kept)
        return Quorum(self.stage, self.statement, voters)

    @classmethod
    def from_bytes(cls, data: bytes) -> Quorum:
        """Read untrusted bytes, without a look at the signatures.

        Raises FieldError, EncodingError, or BadQuorum where the voters are out of order.
        """
        check_bytes("quorum", data, 1, MAX_QUORUM_BYTES)
        stage, *statement, listed = check_list("quorum", decode(data), _ITEMS)
        pairs = [check_list("a voter", pair, 2) for pair in check_list("the voters", listed)]
        signatures = tuple((sender, signature) for sender, signature in pairs)
        quorum = cls(stage_of(stage), Statement(*statement), signatures)
        senders = [vote.sender for vote in quorum.votes]  # checks the fields
        if senders != sorted(set(senders)):
            raise BadQuorum("the voters are not in the order of their addresses, each once")
        return quorum.remember(data)

    @cached_property
    def _bytes(self) -> bytes:
        voters = [[sender, signature] for sender, signature in self.signatures]
        return encode([self.stage.value, *self.statement.items, voters])


def is_quorum(voters: Collection[str], electorates: Iterable[Members]) -> bool:
    """Tell whether `voters`, each once, are more than two thirds of each electorate."""
    return all(
        3 * sum(voter in members for voter in voters) > 2 * len(members) for members in electorates
    )


def check_quorum(quorum: Quorum, genesis: Genesis, electorates: Iterable[Members]) -> None:
    """Refuse a quorum that is too small, or holds a vote that its sender did not cast.

    `electorates` are the members at each block from a trusted final one to the one voted for; equal
    ones may be left out. Raises BadQuorum, UnknownSender or BadSignature.
    """
    sets = list(electorates)
    if not is_quorum([sender for sender, _ in quorum.signatures], sets):
        raise BadQuorum(
            f"{len(quorum.signatures)} votes are not more than two thirds of the members"
        )
    for vote in quorum.votes:
        keys = [members[vote.sender].public_key for members in sets if vote.sender in members]
        if not keys:
            raise UnknownSender(f"{vote.sender} votes in a quorum and is no member")
        if not is_signed(vote, keys[0], genesis.hash):
            raise BadSignature(f"the vote of {vote.sender} in a quorum is not signed by it")
