"""The votes that count: each member's newest ones, by what they are for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain

from bift_ros.consensus.votes import Stage, Statement, Vote, is_double_vote

_ROUNDS = 4
"""Newest rounds of each stage whose votes are kept of a member."""
_ALIKE = 2
"""Votes of one stage and round that are kept of a member: an honest one casts one."""
Key = tuple[Stage, Statement]


class VoteBook:
    """Votes of members, as many as `_ROUNDS` allows: whoever votes far ahead forgets its own."""

    def __init__(self) -> None:
        self._of: dict[str, dict[tuple[Stage, int], list[Vote]]] = {}
        self._voters: dict[Key, dict[str, Vote]] = {}
        self._newest: dict[str, int] = {}

    def add(self, vote: Vote) -> Vote | None:
        """Count a vote; give an earlier one of its sender that no honest member casts beside it."""
        votes = self._of.setdefault(vote.sender, {})
        place = (vote.stage, vote.statement.round)
        rivals = votes.get(place, ())
        if vote in rivals:
            return None
        earlier = chain.from_iterable(votes.values())
        rival = next((other for other in earlier if is_double_vote(other, vote)), None)
        if len(rivals) < _ALIKE:
            votes.setdefault(place, []).append(vote)
            self._voters.setdefault((vote.stage, vote.statement), {})[vote.sender] = vote
            self._newest[vote.sender] = max(self._newest.get(vote.sender, 0), vote.statement.round)
            rounds = sorted(number for stage, number in votes if stage is vote.stage)
            if len(rounds) > _ROUNDS:
                self._forget(votes.pop((vote.stage, rounds[0])))
        return rival

    def keep(self, members: Collection[str]) -> None:
        """Forget the votes of all but these."""
        for gone in [sender for sender in self._of if sender not in members]:
            for votes in self._of.pop(gone).values():
                self._forget(votes)
            self._newest.pop(gone, None)

    def said(self) -> list[Key]:
        """What there are votes for."""
        return list(self._voters)

    def voters(self, stage: Stage, statement: Statement) -> Mapping[str, Vote]:
        """Who has cast this vote, by address."""
        return self._voters.get((stage, statement), {})

    def prevotes(self, round_: int) -> Iterator[tuple[Statement, Mapping[str, Vote]]]:
        """What is prevoted in a round, with the votes for it by sender."""
        for (stage, statement), voters in self._voters.items():
            if stage is Stage.PREVOTE and statement.round == round_:
                yield statement, voters

    def at_least(self, round_: int) -> list[str]:
        """Who has voted in this round or a later one."""
        return [sender for sender, newest in self._newest.items() if newest >= round_]

    def reached_by(self, count: int) -> int:
        """Give the highest round that so many members have voted in, or in a later one; or 0."""
        rounds = sorted(self._newest.values(), reverse=True)
        return rounds[count - 1] if len(rounds) >= count else 0

    def _forget(self, votes: list[Vote]) -> None:
        for vote in votes:
            key = (vote.stage, vote.statement)
            voters = self._voters[key]
            del voters[vote.sender]
            if not voters:
                del self._voters[key]
