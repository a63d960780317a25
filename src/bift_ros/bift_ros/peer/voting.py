"""A member's part in making blocks final: when it votes, and what it makes of others' votes.

What votes mean, and what makes a quorum of them, is in `consensus.votes` and `consensus.quorums`;
`chain.finality` keeps what they have settled. Here is what an honest member does, round by round:

- it **prevotes** once, where its chain goes beyond the last final block: for the highest block of
  its chain that more than a third of the members have prevoted as it would, or else for its tip.
  The source is what is justified in the highest round that it knows;
- it **precommits** what is justified by a quorum of prevotes in its round or a later one;
- it goes **on to the next round** with the round's certificate, or, once more than two thirds have
  come as far as this round, where no statement can find a quorum any more, or after a time that
  doubles while nothing is justified. Who would go on alone would only be further and further ahead;
- it **follows** to a later round in which so many have voted that an honest one is among them.

A vote is in the chain's store before anybody hears of it, so that none of a later life contradicts
it. It never looks back: the justified round that it names in a prevote can't be older than one that
it has precommitted in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bift_ros.admission.answers import QUORUMS_PER_ANSWER
from bift_ros.chain.blockchain import Blockchain, Reorg
from bift_ros.chain.tips import SignedTip, read_votes
from bift_ros.consensus.evidence import contradictions
from bift_ros.consensus.exceptions import (
    BadQuorum,
    BadSignature,
    ChainError,
    ConflictsWithFinal,
    UnknownSender,
    UnknownVoted,
)
from bift_ros.consensus.fork_choice import BlockNode, stands_on
from bift_ros.consensus.quorums import Quorum, is_quorum
from bift_ros.consensus.state_bytes import state_digest
from bift_ros.consensus.votes import Stage, Statement, Vote, is_double_vote, sign_vote
from bift_ros.peer.context import Context
from bift_ros.peer.double_votes import DoubleVotes
from bift_ros.peer.effects import BlockFinal, ConflictingCertificate
from bift_ros.peer.vote_book import Key, VoteBook

_ROUND_MS = 2_000
_LONGEST_ROUND_MS = 30_000
_HOPELESS = 8
"""A round in which nothing can be justified any more is left after this part of its time."""
_DOUBLINGS = 4
_JUMP = 2**16
"""Rounds that one follows at a time: nobody drives anybody to the end of all numbers."""
_UNSURE = 2
"""Rounds passed over by a member that does not know how it has voted before."""
_MAXIMUM_SHOWN = 16


class Voting:
    """Counts votes and casts this vehicle's own."""

    def __init__(self, context: Context, double_votes: DoubleVotes) -> None:
        self._context, self._double_votes = context, double_votes
        self.book = VoteBook()
        self._cast: dict[Stage, Vote] = {}
        """This vehicle's own newest votes."""
        self._round = 1
        self._since: int | None = None
        """When enough members were first seen in this round, after this vehicle's own vote."""
        self._justification: Statement | None = None
        """What the newest quorum of prevotes is for."""
        self._final = context.chain.finality.final
        self._justified = context.chain.finality.justified.round
        self._open: dict[Key, None] = {}
        """What may have found a quorum since the last look."""
        self._shown: dict[Key, Quorum] = {}
        """Quorums given by others whose block, or its source's justification, is not here yet."""
        self._ahead: dict[str, tuple[int, int]] = {}
        """Of each member the final height and the justified round that it has shown."""
        self._look = True
        self.untold = False
        """Whether a vote was cast that the fleet has not heard of."""

    @property
    def votes(self) -> tuple[Vote, ...]:
        """This vehicle's own newest vote of each stage."""
        return tuple(self._cast.values())

    def recall(self) -> None:
        """Take up again where the last life ended."""
        store = self._context.chain.store
        self._cast = store.votes()
        quorums = store.quorums(Stage.PREVOTE)
        if quorums:
            self._justification = quorums[-1].statement
        for vote in self._cast.values():
            self.book.add(vote)
        rounds = [vote.statement.round for vote in self._cast.values()]
        self._round = max([self._round, self._justified, *rounds])
        self._notice()

    def ahead(self) -> list[str]:
        """Members that know of a later final block, or of a later justified one."""
        finality = self._context.chain.finality
        return [
            member
            for member, (height, round_) in self._ahead.items()
            if height > finality.final.height or round_ > finality.justified.round
        ]

    def heard(self, tip: SignedTip) -> None:
        """Count the votes in a tip that its member has signed."""
        context = self._context
        try:
            votes = read_votes(tip, context.genesis, context.members)
        except ChainError as error:
            context.refuse("vote", tip.sender + str(error), tip.sender, str(error))
            return
        rounds = [
            vote.statement.source_round if vote.stage is Stage.PREVOTE else vote.statement.round
            for vote in votes
        ]
        self._ahead[tip.sender] = (tip.final_height, max(rounds, default=0))
        for vote in votes:
            self._count(vote)

    def shown(self, quorums: Iterable[Quorum]) -> None:
        """Take up quorums that another vehicle has given."""
        for quorum in quorums:
            self._shown[quorum.stage, quorum.statement] = quorum
            if len(self._shown) > _MAXIMUM_SHOWN:
                del self._shown[next(iter(self._shown))]
            self._look = True

    def look_again(self) -> None:
        """A block came, or time has passed."""
        self._look = True

    def advance(self) -> Iterator[Reorg]:
        """Vote, as far as what is known allows; yield how others' votes change the chain."""
        if self._look:
            self._follow()
        while self._look:
            self._look = False
            self._notice()
            yield from self._take_up()
            if self._is_over():
                self._enter(self._round + 1)
            if self._context.key.address in self._context.members:
                self._precommit()
                self._prevote()

    # --- counting ---------------------------------------------------------------------------

    def _count(self, vote: Vote) -> None:
        if vote in self.book.voters(vote.stage, vote.statement).values():
            return
        rival = self.book.add(vote)
        if rival is not None:
            self._double_votes.found(rival, vote)
        self._open[vote.stage, vote.statement] = None
        self._look = True

    def _take_up(self) -> Iterator[Reorg]:
        """Hand the quorums there are to the chain, those of low rounds first."""
        for key in sorted({*self._open, *self._shown}, key=lambda k: (k[1].round, k[0].value)):
            quorum = self._shown.get(key) or self._quorum(*key)
            if quorum is None:
                self._open.pop(key, None)
                continue
            try:
                reorg = self._hand_over(quorum)
                if self._context.store_fails:
                    continue
            except UnknownVoted:
                continue  # until the block comes, or its source's justification
            except ConflictsWithFinal as error:
                self._conflict(quorum, str(error))
                reorg = None
            except (BadQuorum, BadSignature, UnknownSender) as error:
                name = f"{quorum.stage.name.lower()}s for block {quorum.statement.height}"
                self._context.refuse("votes", quorum.to_bytes().hex(), "", f"{name}: {error}")
                reorg = None
            self._open.pop(key, None)
            self._shown.pop(key, None)
            self._notice()
            if reorg is not None:
                yield reorg

    def _quorum(self, stage: Stage, statement: Statement) -> Quorum | None:
        """Give the votes heard for a statement, where they may be enough and are of use."""
        context, voters = self._context, self.book.voters(stage, statement)
        finality, node = context.chain.finality, context.chain.node(statement.hash)
        if stage is Stage.PREVOTE and finality.is_justified(statement.round, statement.hash):
            return None
        counted = [context.members]
        if node is not None and stands_on(node, finality.final):
            counted = finality.electorates(node)
        return Quorum.of(voters.values()) if is_quorum(voters, counted) else None

    def _hand_over(self, quorum: Quorum) -> Reorg | None:
        context, chain = self._context, self._context.chain
        take_up = chain.finalize if quorum.stage is Stage.PRECOMMIT else chain.justify
        reorg = context.write(
            f"what votes of round {quorum.statement.round} settle", lambda: take_up(quorum)
        )
        if quorum.stage is Stage.PRECOMMIT:
            return reorg
        if chain.finality.justified.round == quorum.statement.round:
            self._justification = quorum.statement
        return reorg

    def _notice(self) -> None:
        """Go on from what has been settled."""
        context, finality = self._context, self._context.chain.finality
        if finality.justified.round != self._justified:
            self._justified, self._since, self._look = finality.justified.round, None, True
            self._enter(self._justified)
        if finality.final is not self._final:
            self._final = finality.final
            self.book.keep(context.members)
            self._ahead = {m: shown for m, shown in self._ahead.items() if m in context.members}
            # Fewer electorates count from now on: what was too little may be enough.
            self._open.update(dict.fromkeys(self.book.said()))
            self._look = True
            context.emit(BlockFinal(finality.final.height, finality.final.hash))
        if finality.certificate is not None:
            self._enter(finality.certificate.statement.round + 1)

    def _conflict(self, quorum: Quorum, reason: str) -> None:
        """Somebody shows enough votes for a rival of the final block: more than a third lied."""
        store = self._context.chain.store
        known = [*store.quorums(Stage.PREVOTE), *store.quorums(Stage.PRECOMMIT)]
        for vote, other in contradictions(quorum, known).values():
            self._double_votes.found(other, vote)
        if quorum.stage is Stage.PRECOMMIT:
            self._context.emit(ConflictingCertificate(quorum, reason))

    # --- rounds -----------------------------------------------------------------------------

    def _enter(self, round_: int) -> None:
        if round_ > self._round:
            self._round, self._since, self._look = round_, None, True

    def _follow(self) -> None:
        """Go where so many are that an honest one is among them."""
        members = len(self._context.members)
        reached = self.book.reached_by(-(-members // 3))
        if not self._cast and reached:
            reached += _UNSURE
        self._enter(min(reached, self._round + _JUMP))

    def _is_over(self) -> bool:
        """Whether the round has had its time, with more than two thirds of the members in it."""
        context, round_ = self._context, self._round
        here = self.book.at_least(round_)
        if context.key.address not in here or not is_quorum(here, [context.members]):
            return False
        if self._since is None:
            self._since = context.now
        justified = context.chain.finality.justified.round
        time = min(_ROUND_MS << min(max(0, round_ - 1 - justified), _DOUBLINGS), _LONGEST_ROUND_MS)
        if justified < round_ and self._is_hopeless():
            time //= _HOPELESS
        return context.now - self._since >= time

    def _is_hopeless(self) -> bool:
        """Whether no block can be justified in this round, by the prevotes heard."""
        members, most, voted = self._context.members, 0, set[str]()
        for _, voters in self.book.prevotes(self._round):
            senders = members.keys() & voters.keys()
            most = max(most, len(senders))
            voted |= senders
        later = set(self.book.at_least(self._round + 1)) - voted
        missing = len(members) - len(voted) - len(later & members.keys())
        return 3 * (most + missing) <= 2 * len(members)

    # --- own votes --------------------------------------------------------------------------

    def _precommit(self) -> None:
        said, last = self._justification, self._cast.get(Stage.PRECOMMIT)
        if said is None or said.round < self._round:
            return
        if last is not None and last.statement.round >= said.round:
            return
        self._enter(said.round)
        self._vote(Stage.PRECOMMIT, said)

    def _prevote(self) -> None:
        context, last = self._context, self._cast.get(Stage.PREVOTE)
        chain, finality = context.chain, context.chain.finality
        justified, round_ = finality.justified, self._round
        if last is not None and last.statement.round >= round_:
            return
        if justified.round >= round_ or chain.tip is finality.final:
            return
        if not stands_on(chain.tip, justified.node):
            return
        lowest = max(justified.node.height, finality.final.height + 1)
        backed = []
        for statement, voters in self.book.prevotes(round_):
            node = chain.node(statement.hash)
            if 3 * len(voters) <= len(context.members) or node is None or node.height < lowest:
                continue
            if stands_on(chain.tip, node) and statement == self._statement(node):
                backed.append(statement)
        backed = backed or [self._statement(chain.tip)]
        self._vote(Stage.PREVOTE, max(backed, key=lambda statement: statement.height))

    def _statement(self, node: BlockNode) -> Statement:
        """What this vehicle says of a block in a prevote."""
        chain = self._context.chain
        source = chain.finality.justified
        digest = state_digest(chain.state_at(node.hash))
        return Statement(
            self._round, node.height, node.hash, digest, source.round, source.node.hash
        )

    def _vote(self, stage: Stage, statement: Statement) -> None:
        context = self._context
        vote = sign_vote(context.key, context.genesis.hash, stage, statement)
        if any(is_double_vote(vote, other) for other in self._cast.values()):
            return  # what was justified is lost from the store, and will be shown again
        context.write("this vehicle's own vote", lambda: context.chain.store.cast(vote))
        if context.store_fails:
            return
        self._cast[stage] = vote
        self._count(vote)
        self.untold = True


def quorums_above(chain: Blockchain, final_height: int, justified_round: int) -> list[Quorum]:
    """What a vehicle is given that has come so far: the certificate, and justifications above it.

    The oldest of those come first: each but the first has one before it for its source.
    """
    found, certificate = [], chain.finality.certificate
    if certificate is not None and certificate.statement.height > final_height:
        found = [certificate]
        justified_round = max(justified_round, certificate.statement.round)
    for quorum in chain.store.quorums(Stage.PREVOTE):
        if quorum.statement.round > justified_round and len(found) < QUORUMS_PER_ANSWER:
            found.append(quorum)
    return found
