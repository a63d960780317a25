"""Whatever liars and the network do, rivals become final only with evidence, or not at all.

Honest voters of a small model keep the rules of `docs/consensus.md`. All else is the adversary's:
which blocks there are and who is a member after each, what an honest voter prevotes of all that the
rules leave it, which quorums reach it and when; liars have cast any vote that a quorum lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bift_ros.consensus.evidence import contradictions
from bift_ros.consensus.genesis import Member
from bift_ros.consensus.quorums import Quorum, is_quorum
from bift_ros.consensus.votes import Stage, Statement, Vote, is_double_vote
from bift_ros.identity.keys import KeyPair

PEOPLE = [Member(f"v{n}", KeyPair.from_seed(n.to_bytes(32, "big")).public_key) for n in range(10)]
THIRD, HALF = 3, 2


@dataclass(eq=False)
class Block:
    name: int
    parent: Block | None
    members: dict[str, Member]

    @property
    def hash(self) -> bytes:
        return self.name.to_bytes(32, "big")

    @property
    def path(self) -> list[Block]:
        """From the genesis to here."""
        return [*(self.parent.path if self.parent else []), self]

    def stands_on(self, other: Block) -> bool:
        return other in self.path

    def above(self, base: Block) -> list[Block]:
        """From `base` to here, both included."""
        return self.path[len(base.path) - 1 :]


@dataclass
class Voter:
    """An honest member."""

    address: str
    genesis: Block
    round: int = 0
    """Of its last prevote."""
    precommitted: int = 0
    votes: list[Vote] = field(default_factory=list)
    held: list[Quorum] = field(default_factory=list)
    final: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.final.append(self.genesis)
        self.justified = (0, self.genesis)
        self.known = {(0, self.genesis.hash)}

    def cast(self, stage: Stage, said: Statement) -> None:
        self.votes.append(Vote(self.address, stage, said, bytes(64)))

    def prevote(self, round_: int, block: Block) -> None:
        source, base = self.justified
        if round_ <= max(self.round, source) or source < self.precommitted:
            return
        if block is self.final[-1] or not (
            block.stands_on(self.final[-1]) and block.stands_on(base)
        ):
            return
        self.round = round_
        height = len(block.path)
        self.cast(
            Stage.PREVOTE, Statement(round_, height, block.hash, bytes(32), source, base.hash)
        )

    def counts(self, quorum: Quorum, block: Block) -> bool:
        """Whether it is a quorum for a block on this voter's final one."""
        if not block.stands_on(self.final[-1]):
            return False
        voters = [sender for sender, _ in quorum.signatures]
        return is_quorum(voters, [b.members for b in block.above(self.final[-1])])

    def take_up(self, quorum: Quorum, block: Block, blocks: list[Block]) -> None:
        said = quorum.statement
        if not self.counts(quorum, block):
            return
        if quorum.stage is Stage.PREVOTE:
            source = next(b for b in blocks if b.hash == said.source_hash)
            if (said.source_round, said.source_hash) not in self.known:
                return
            if not block.stands_on(source):
                return
        self.held.append(quorum)
        self.known.add((said.round, said.hash))
        if quorum.stage is Stage.PRECOMMIT:
            self.final.append(block)
        if said.round > self.justified[0] or not self.justified[1].stands_on(self.final[-1]):
            self.justified = (said.round, block)
        if quorum.stage is Stage.PREVOTE and self.precommitted < said.round >= self.round:
            self.precommitted = said.round
            self.cast(Stage.PRECOMMIT, said)


class World:
    """A tree, voters and liars, and whatever happens to them."""

    def __init__(self, rng: Random, share: int, changing: bool) -> None:
        """Fewer than one in `share` of the members lie, after every block."""
        self.rng, self.share = rng, share
        size = rng.choice([4, 5, 5, 7, 7])
        most = (size - 1) // share
        self.liars = {member.address for member in PEOPLE[:most]}
        self.liars |= {member.address for member in PEOPLE[7:9]}
        members = {member.address: member for member in PEOPLE[:size]}
        self.blocks = [Block(0, None, members)]
        trunk = self._grow(self.blocks[0], rng.randint(0, 2), changing)
        ends = [self._grow(trunk, rng.randint(1, 3), changing) for _ in range(2)]
        everybody = {a for block in self.blocks for a in block.members} - self.liars
        self.voters = [Voter(address, self.blocks[0]) for address in sorted(everybody)]
        self.likes = {v.address: ends[n % 2].path for n, v in enumerate(self.voters)}
        """The branch that a voter is mostly shown."""

    def _grow(self, block: Block, length: int, changing: bool) -> Block:
        for _ in range(length):
            members = self._changed(block.members) if changing else block.members
            block = Block(len(self.blocks), block, members)
            self.blocks.append(block)
        return block

    def _changed(self, members: dict[str, Member]) -> dict[str, Member]:
        """Somebody leaves, somebody joins, both or neither."""
        after = dict(members)
        for one in self.rng.sample(PEOPLE, self.rng.randint(0, 4)):
            if after.pop(one.address, None) is None:
                after[one.address] = one
        liars = sum(address in self.liars for address in after)
        return after if self.share * liars < len(after) else members

    def run(self, steps: int) -> None:
        """Let things happen, mostly within the two parts of a network that is split."""
        for _ in range(steps):
            voter, votes = self.rng.choice(self.voters), self.votes()
            likes = self.likes[voter.address] if self.rng.random() < 0.95 else self.blocks
            seen = [vote for vote in votes if self.voted(vote) in likes]
            if not seen or self.rng.random() < 0.2:
                known = max(voter.round, voter.justified[0])
                voter.prevote(known + self.rng.choice([1, 1, 2, 3]), self.rng.choice(likes))
            elif self.rng.random() < 0.4:
                one = self.rng.choice(seen)
                voter.prevote(one.statement.round, self.voted(one))
            else:
                self.show(voter, self.rng.choice(seen), votes)

    def votes(self) -> list[Vote]:
        return [vote for voter in self.voters for vote in voter.votes]

    def voted(self, vote: Vote) -> Block:
        return self.blocks[int.from_bytes(vote.statement.hash, "big")]

    def show(self, voter: Voter, one: Vote, votes: list[Vote]) -> None:
        """Let a quorum reach a voter, with no more liars in it than it takes."""
        block = self.voted(one)
        if not block.stands_on(voter.final[-1]):
            return
        electorates = [b.members for b in block.above(voter.final[-1])]
        same = [v for v in votes if (v.stage, v.statement) == (one.stage, one.statement)]
        voters = [vote.sender for vote in same]
        for liar in self.rng.sample(sorted(self.liars), len(self.liars)):
            if not is_quorum(voters, electorates):
                voters.append(liar)
        same += [Vote(liar, one.stage, one.statement, bytes(64)) for liar in voters[len(same) :]]
        voter.take_up(Quorum.of(same), block, self.blocks)

    def conflict(self) -> bool:
        """Whether two rivals are final."""
        final = {block for voter in self.voters for block in voter.final}
        return any(not a.stands_on(b) and not b.stands_on(a) for a, b in combinations(final, 2))

    def accused(self) -> set[str]:
        """Whom the quorums convict that honest voters hold."""
        held = [quorum for voter in self.voters for quorum in voter.held]
        return {sender for quorum in held for sender in contradictions(quorum, held)}

    def check(self) -> None:
        for voter in self.voters:
            assert not any(is_double_vote(a, b) for a, b in combinations(voter.votes, 2))
        assert self.accused() <= self.liars
        if self.conflict():
            assert any(
                3 * len(self.accused() & set(block.members)) > len(block.members)
                for block in self.blocks
            )


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_below_a_third_of_liars_no_rivals_become_final(seed: int, changing: bool) -> None:
    world = World(Random(seed), THIRD, changing)
    world.run(100)
    world.check()
    assert not world.conflict()
    assert not world.accused()


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_below_a_half_of_liars_rivals_become_final_only_with_evidence(
    seed: int, changing: bool
) -> None:
    world = World(Random(seed), HALF, changing)
    world.run(100)
    world.check()


@pytest.mark.parametrize("changing", [False, True])
def test_the_adversary_reaches_rivals(changing: bool) -> None:
    """Else the above would say nothing."""
    found = 0
    for seed in range(400):
        world = World(Random(seed), HALF, changing)
        world.run(100)
        world.check()
        found += world.conflict()
    assert found > 3
