"""What votes settle: where the tip must stand, what is refused, what a restart keeps."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.exceptions import StoreError
from bift_ros.chain.finality import Checkpoint
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.double_votes import check_double_vote
from bift_ros.consensus.exceptions import (
    BadQuorum,
    BadSignature,
    ConflictsWithFinal,
    FieldError,
    NotOnFinal,
    UnknownVoted,
)
from bift_ros.consensus.payloads import MembershipVote
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.transition import state_transition
from bift_ros.consensus.votes import Stage, Statement
from world.votes import quorum, statement


class Case:
    """A chain with a proposal, and two branches above it: the light one is the lower-weight one."""

    def __init__(self, fleet: Any, store: ChainStore, **how: Any) -> None:
        self.fleet = fleet
        self.chain = Blockchain(fleet.genesis, store, **how)
        self.trunk = fleet.block(fleet.start, [fleet.sign(0, fleet.proposal())])
        fork = fleet.apply(fleet.start, self.trunk)
        self.light = [fleet.model_block(fork, [0, 1])]
        self.light.append(fleet.block(fleet.apply(fork, *self.light)))
        self.heavy = [fleet.model_block(fork, [0, 1, 2])]

    def add(self, *blocks: Block) -> Any:
        reorg = None
        for block in blocks:
            parent = self.chain.state_at(block.header.previous_hash)
            state = state_transition(parent, self.chain.genesis, block, block.header.timestamp)
            reorg = self.chain.add(block, state)
        return reorg

    def all(self) -> Case:
        self.add(self.trunk, *self.heavy, *self.light)
        return self

    def statement(self, block: Block, round_: int = 1, **how: Any) -> Statement:
        return statement(self.chain, block.hash, round_, **how)

    def quorum(
        self, stage: Stage, said: Statement | Block, voters: Iterable[int] = range(4), **how: Any
    ) -> Quorum:
        if isinstance(said, Block):
            said = self.statement(said, **how)
        return quorum(self.fleet, stage, said, voters)

    def justify(self, block: Block, round_: int = 1, **how: Any) -> Any:
        return self.chain.justify(self.quorum(Stage.PREVOTE, block, round_=round_, **how))

    def finalize(self, block: Block, round_: int = 1, **how: Any) -> Any:
        return self.chain.finalize(self.quorum(Stage.PRECOMMIT, block, round_=round_, **how))


@pytest.fixture
def store(fleet: Any, tmp_path: Path) -> Any:
    with closing(ChainStore(tmp_path / "chain.db", fleet.genesis)) as store:
        yield store


@pytest.fixture
def case(fleet: Any, store: ChainStore) -> Case:
    return Case(fleet, store)


def test_at_first_the_genesis_is_final(case: Case) -> None:
    finality = case.chain.finality
    assert finality.final is finality.justified.node is case.chain.tip
    assert finality.certificate is None
    assert finality.is_justified(0, case.fleet.genesis.hash)


def test_the_tip_stands_on_the_justified_block_whatever_outweighs_it(case: Case) -> None:
    case.add(case.trunk, *case.light)
    assert case.justify(case.light[0]) is None  # the chain holds it
    assert case.add(*case.heavy) is None
    assert case.chain.tip.hash == case.light[1].hash
    assert case.chain.prefer(case.light[1].hash) is None
    more = case.fleet.block(case.chain.tip_state)
    assert case.add(more).added == (more,)


def test_a_justified_block_on_another_branch_takes_the_tip_there(case: Case) -> None:
    case.all()
    assert case.chain.tip.hash == case.heavy[0].hash
    reorg = case.justify(case.light[0])
    assert (reorg.removed, reorg.added) == (tuple(case.heavy), tuple(case.light))
    # A higher round ends that too; a lower one does not.
    assert case.justify(case.heavy[0], round_=3).added == tuple(case.heavy)
    assert case.justify(case.light[0], round_=2) is None
    assert case.chain.finality.is_justified(2, case.light[0].hash)
    assert case.chain.finality.justified.round == 3
    # Nor does one below both branches, but for what fork choice says then.
    assert case.justify(case.light[0], round_=4).removed == tuple(case.heavy)
    assert case.justify(case.trunk, round_=5).added == tuple(case.heavy)


def test_a_tie_is_not_joined_off_the_justified_block(case: Case) -> None:
    fleet = case.fleet
    case.add(case.trunk)
    pair = [fleet.model_block(case.chain.tip_state, [0, 1, 2], miner=miner) for miner in (0, 1)]
    case.add(*pair)
    lower, higher = sorted(pair, key=lambda block: block.hash)
    case.justify(lower)
    assert case.chain.prefer(higher.hash) is None
    case.justify(higher, round_=2)
    assert case.chain.tip.hash == higher.hash


def test_nothing_leaves_a_final_block(case: Case) -> None:
    case.all()
    assert case.finalize(case.light[0], round_=2).added == tuple(case.light)
    finality = case.chain.finality
    assert (finality.final.hash, finality.justified.round) == (case.light[0].hash, 2)
    with pytest.raises(ConflictsWithFinal):
        case.justify(case.heavy[0], round_=9)
    with pytest.raises(ConflictsWithFinal):
        case.finalize(case.heavy[0], round_=9)
    assert case.finalize(case.trunk, round_=9) is None
    assert case.justify(case.trunk, round_=9) is None
    assert finality.final.hash == case.chain.finality.justified.node.hash == case.light[0].hash


def test_a_false_quorum_raises_no_alarm(case: Case) -> None:
    case.all()
    case.finalize(case.light[0])
    with pytest.raises(BadQuorum):
        case.chain.finalize(case.quorum(Stage.PRECOMMIT, case.heavy[0], range(3), round_=2))
    forged = case.quorum(Stage.PRECOMMIT, case.heavy[0], round_=2)
    voters = tuple((sender, bytes(64)) for sender, _ in forged.signatures)
    with pytest.raises(BadSignature):
        case.chain.finalize(replace(forged, signatures=voters))


def test_a_block_that_does_not_stand_on_the_final_one_costs_nothing(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.all()
    below, fork = case.fleet.start, case.fleet.apply(case.fleet.start, case.trunk)
    old = [
        case.fleet.block(below, miner=3),
        case.fleet.block(fork, miner=3),
        case.fleet.block(case.fleet.apply(fork, *case.heavy), miner=3),
    ]
    case.finalize(case.light[0])
    monkeypatch.setattr(Blockchain, "state_at", None)
    for block in old:
        with pytest.raises(NotOnFinal):
            case.chain.finality.check_place(block.header)
    with pytest.raises(NotOnFinal):
        case.chain.add(old[1], case.fleet.apply(fork, old[1]))
    case.chain.finality.check_place(case.light[1].header)


def test_what_a_quorum_must_be(case: Case) -> None:
    case.add(case.trunk)
    said = case.statement(case.trunk)
    for wrong in (replace(said, height=2), replace(said, state_digest=bytes(32))):
        with pytest.raises(BadQuorum):
            case.chain.justify(case.quorum(Stage.PREVOTE, wrong))
    with pytest.raises(BadQuorum):
        case.chain.justify(case.quorum(Stage.PRECOMMIT, said))
    with pytest.raises(BadQuorum):
        case.chain.finalize(case.quorum(Stage.PREVOTE, said))
    with pytest.raises(UnknownVoted):
        case.chain.justify(case.quorum(Stage.PREVOTE, replace(said, hash=bytes(32))))
    assert case.chain.store.quorums(Stage.PREVOTE) == []


def test_prevotes_count_where_their_source_is_justified(case: Case) -> None:
    case.all()
    source = (1, case.light[0].hash)
    with pytest.raises(UnknownVoted, match="source"):
        case.justify(case.light[1], round_=2, source=source)
    case.justify(case.light[0])
    with pytest.raises(BadQuorum, match="below"):
        case.justify(case.heavy[0], round_=2, source=source)
    case.justify(case.light[1], round_=2, source=source)
    assert case.chain.finality.justified.round == 2


def test_a_certificate_needs_no_source_and_is_one(case: Case) -> None:
    case.all()
    case.finalize(case.light[0], round_=7, source=(6, case.trunk.hash))
    case.justify(case.light[1], round_=8, source=(7, case.light[0].hash))
    assert case.chain.finality.justified.node.hash == case.light[1].hash


def test_the_final_block_may_be_certified_again(case: Case) -> None:
    case.all()
    case.finalize(case.light[0], round_=2)
    assert case.finalize(case.light[0], round_=1) is None
    case.finalize(case.light[0], round_=3)
    assert case.chain.finality.is_justified(3, case.light[0].hash)
    assert case.chain.finality.certificate.statement.round == 3


def test_a_restart_keeps_what_is_settled(case: Case) -> None:
    case.all()
    case.finalize(case.light[0], round_=2)
    case.justify(case.light[1], round_=5)
    again = Blockchain(case.fleet.genesis, case.chain.store)
    assert again.store.damage is None
    assert again.tip.hash == case.light[1].hash
    assert again.finality.final.hash == case.light[0].hash
    assert again.finality.certificate == case.chain.finality.certificate
    assert again.finality.justified.round == 5
    assert again.finality.is_justified(2, case.light[0].hash)
    with pytest.raises(NotOnFinal):
        again.finality.check_place(case.heavy[0].header)


def test_a_stored_quorum_that_is_none_is_damage(case: Case) -> None:
    case.all()
    case.chain.store.keep_quorum(case.quorum(Stage.PRECOMMIT, case.light[0], range(3)))
    again = Blockchain(case.fleet.genesis, case.chain.store)
    assert "no quorum" in again.store.damage
    assert again.finality.final is again.tip


def leaves(fleet: Any, store: ChainStore) -> tuple[Case, Block]:
    """A case whose chain has a block that takes member 4 out."""
    case = Case(fleet, store)
    case.add(case.trunk)
    gone = fleet.genesis.members[4]
    vote = MembershipVote("leave", gone.name, gone.public_key)
    block = fleet.block(
        case.chain.tip_state, [fleet.sign(n, vote, case.chain.tip_state) for n in (0, 1, 2)]
    )
    case.add(block)
    return case, block


def test_a_quorum_is_one_of_every_membership_on_its_path(fleet: Any, store: ChainStore) -> None:
    case, block = leaves(fleet, store)
    finality, node = case.chain.finality, case.chain.tip
    assert [len(members) for members in finality.electorates(node)] == [5, 4]
    assert [len(members) for members in finality.electorates(node, node)] == [4]
    said = case.statement(block)
    with pytest.raises(BadQuorum):  # three are enough of four, and not of five
        case.chain.finalize(case.quorum(Stage.PRECOMMIT, said, range(3)))
    case.chain.finalize(case.quorum(Stage.PRECOMMIT, said, range(5)))
    (kept,) = store.quorums(Stage.PRECOMMIT)
    assert len(kept.signatures) == 5
    again = Blockchain(fleet.genesis, store)
    assert again.finality.final.hash == block.hash


def test_who_stands_on_a_later_final_block_counts_without_those_who_left(
    fleet: Any, store: ChainStore
) -> None:
    case, block = leaves(fleet, store)
    case.chain.finalize(case.quorum(Stage.PRECOMMIT, block, range(4)))
    above = fleet.block(case.chain.tip_state)
    case.add(above)
    case.chain.finalize(case.quorum(Stage.PRECOMMIT, above, range(5), round_=2))
    assert len(case.chain.finality.certificate.signatures) == 4


def test_the_owners_checkpoint_is_final_once_it_is_here(fleet: Any, store: ChainStore) -> None:
    light = Case(fleet, store).light[0]
    case = Case(fleet, store, checkpoint=Checkpoint(light.header.height, light.hash))
    case.add(case.trunk)
    with pytest.raises(NotOnFinal, match="checkpoint"):
        case.add(*case.heavy)
    assert case.chain.finality.final.height == 0
    case.add(light)
    assert case.chain.finality.final.hash == light.hash
    assert case.chain.finality.certificate is None
    case.add(case.light[1])
    case.justify(case.light[1], round_=3)
    with pytest.raises(NotOnFinal):
        case.add(fleet.block(fleet.apply(fleet.start, case.trunk), miner=3))


def test_a_checkpoint_takes_a_chain_off_the_branch_without_it(
    fleet: Any, store: ChainStore
) -> None:
    case = Case(fleet, store).all()
    case.finalize(case.heavy[0])
    light = case.light[0]
    again = Blockchain(fleet.genesis, store, checkpoint=Checkpoint(light.header.height, light.hash))
    assert store.damage is None
    assert again.tip.hash == case.light[1].hash
    assert again.finality.final.hash == light.hash
    assert again.node(case.heavy[0].hash) is None
    assert Blockchain(fleet.genesis, store).tip.hash == case.heavy[0].hash


def test_a_checkpoint_that_the_last_snapshot_contradicts_is_an_error(
    fleet: Any, store: ChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bift_ros.chain.blockchain.STATE_SPACING", 2)
    case = Case(fleet, store).all()
    case.finalize(case.light[1])
    assert case.chain.root.height == 3
    trunk = Checkpoint(case.trunk.header.height, case.trunk.hash)
    assert Blockchain(fleet.genesis, store, checkpoint=trunk).tip.hash == case.light[1].hash
    with pytest.raises(StoreError, match="without the checkpoint"):
        Blockchain(fleet.genesis, store, checkpoint=replace(trunk, hash=bytes(32)))


def test_a_checkpoint_is_written_as_height_and_hash() -> None:
    assert Checkpoint.parse("12:" + "ab" * 32) == Checkpoint(12, b"\xab" * 32)
    for text in ("", "12", "0:" + "ab" * 32, "12:" + "AB" * 32, "-1:" + "ab" * 32, "12:ab"):
        with pytest.raises(FieldError, match="HEIGHT:HASH"):
            Checkpoint.parse(text)


def test_a_rival_certificate_gives_evidence(case: Case) -> None:
    """Though its block is refused: whoever has voted for both is on the chain for it."""
    case.add(case.trunk, *case.light)
    case.finalize(case.light[0], round_=2)
    heavy = replace(case.statement(case.light[0], round_=2), hash=case.heavy[0].hash)
    rival = quorum(case.fleet, Stage.PRECOMMIT, heavy, [1, 2, 3, 4])
    with pytest.raises(UnknownVoted):
        case.chain.finalize(rival)
    found = case.chain.evidence(rival)
    assert {one.accused for one in found} == {case.fleet.address(n) for n in (1, 2, 3)}
    for one in found:
        check_double_vote(case.chain.tip_state, one)
    later = quorum(case.fleet, Stage.PREVOTE, replace(heavy, round=3), range(5))
    assert len(case.chain.evidence(later)) == 4  # who has forgotten its precommit
    assert case.chain.evidence(case.quorum(Stage.PREVOTE, case.light[0], round_=1)) == []
    forged = tuple((sender, bytes(64)) for sender, _ in rival.signatures)
    with pytest.raises(BadSignature):
        case.chain.evidence(replace(rival, signatures=forged))


def test_who_is_no_member_any_more_is_not_accused(fleet: Any, store: ChainStore) -> None:
    case, block = leaves(fleet, store)
    said = case.statement(block, round_=2)
    case.chain.finalize(case.quorum(Stage.PRECOMMIT, said, range(5)))
    rival = case.quorum(Stage.PRECOMMIT, replace(said, hash=bytes(32)), [0, 4])
    assert [one.accused for one in case.chain.evidence(rival)] == [fleet.address(0)]
