"""Peers make blocks final by their votes, remember them, and give what proves them to others."""

from __future__ import annotations

from bift_ros.chain.blockchain import Blockchain
from bift_ros.consensus.payloads import DoubleVote, WithdrawFile
from bift_ros.consensus.votes import Stage, Statement, Vote, is_double_vote, sign_vote
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import (
    AnnounceTip,
    BlockFinal,
    BroadcastTransaction,
    ConflictingCertificate,
    DoubleVoteFound,
    RequestHeaders,
    TipChanged,
)
from bift_ros.peer.events import HeadersAnswered
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of
from world.fleet import Fleet
from world.votes import quorum, statement

CHECKER = PeerConfig(mine=False, train=False)


def voted(world: LearningConsortium, member: int, stage: Stage, said: Statement) -> Vote:
    return sign_vote(world.keys[member], world.genesis.hash, stage, said)


def hears(peer: PeerDriver, *votes: Vote, stamp: int = 1) -> list[object]:
    """Each member's tip with its vote."""
    world = peer.world
    assert isinstance(world, LearningConsortium)
    members = [key.address for key in world.keys]
    state = peer.state
    tips = [
        world.tip(members.index(v.sender), state.height, state.tip_hash, 0, stamp=stamp, votes=(v,))
        for v in votes
    ]
    return list(peer.send(*tips))


def test_a_fleet_makes_its_blocks_final_and_remembers_it() -> None:
    fleet = Fleet(4)
    fleet.propose(total_iter=3)
    fleet.run_until(lambda: fleet.all_reach(3))
    fleet.run(5_000)
    for vehicle in fleet.vehicles:
        final = vehicle.chain.finality.final
        assert final is vehicle.chain.tip
        assert [e.height for e in vehicle.effects(BlockFinal)][-1] == final.height
        before = vehicle.store.votes()
        vehicle.boot()
        assert vehicle.chain.finality.final.hash == final.hash
        assert vehicle.store.votes() == before


def test_all_blocks_of_an_iteration_are_final_before_the_next_ends() -> None:
    fleet = Fleet(5)
    fleet.propose(total_iter=4)
    fleet.run_until(lambda: fleet.all_reach(4))
    fleet.run(2_000)
    for vehicle in fleet.vehicles:
        accepted = {e.block.header.height: t for t, e in vehicle.log if isinstance(e, TipChanged)}
        waits = []
        for at, effect in vehicle.log:
            if isinstance(effect, BlockFinal):
                waits.append(at - accepted[effect.height])
        assert max(waits) < 1_000


def test_a_late_vehicle_is_given_what_proves_the_final_block() -> None:
    fleet = Fleet(4)
    fleet[3].crash()
    fleet.propose(total_iter=2)
    fleet.run_until(lambda: fleet.all_reach(2))
    fleet.run(3_000)
    fleet[2].crash()  # whose votes are not heard again
    fleet[3].boot()
    fleet.introduce(fleet[3])
    fleet.run_until(lambda: fleet.all_reach(2), 20_000)
    fleet.run(5_000)
    assert fleet[3].chain.finality.final.height >= fleet[0].chain.finality.final.height > 0
    assert fleet[3].effects(BlockFinal)


def test_a_vote_is_stored_before_anybody_hears_of_it() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, CHECKER)
    effects = peer.block(world.task_block())
    (announced,) = of(AnnounceTip, effects)
    prevote = peer.chain.store.votes()[Stage.PREVOTE]
    assert announced.tip.prevote == prevote.to_bytes()
    again = PeerDriver(world, 0, CHECKER, chain=peer.chain)
    again.wait(30_000)
    assert all(not is_double_vote(prevote, vote) for vote in again.chain.store.votes().values())


def test_who_votes_twice_is_reported_to_the_chain_once() -> None:
    world = LearningConsortium(5)
    peer = PeerDriver(world, 0, CHECKER)
    peer.block(world.task_block())
    said = statement(peer.chain, peer.state.tip_hash)
    rival = Statement(1, 1, b"r" * 32, bytes(32), 0, world.genesis.hash)
    hears(peer, voted(world, 2, Stage.PREVOTE, said))
    effects = hears(peer, voted(world, 2, Stage.PREVOTE, rival), stamp=2)
    assert len(of(DoubleVoteFound, effects)) == 1
    sent = [e.transaction for e in of(BroadcastTransaction, peer.wait(20_000))]
    evidence = {tx for tx in sent if isinstance(tx.payload, DoubleVote)}
    assert [tx.payload.accused for tx in evidence] == [world.address(2)]
    peer.block(world.block(peer.state, list(evidence), miner=1))
    assert world.address(2) not in peer.state.members
    peer.wait(20_000)
    assert not peer.peer.pending_transactions


def test_evidence_of_another_is_enough() -> None:
    world = LearningConsortium(5)
    peers = [PeerDriver(world, member, CHECKER) for member in (0, 1)]
    rival = Statement(1, 1, b"r" * 32, bytes(32), 0, world.genesis.hash)
    for peer in peers:
        peer.block(world.task_block())
        said = statement(peer.chain, peer.state.tip_hash)
        for stamp, each in enumerate((said, rival), 1):
            hears(peer, voted(world, 2, Stage.PREVOTE, each), stamp=stamp)
    sent: list[set[bytes]] = [set(), set()]
    for _ in range(40):
        for number, peer in enumerate(peers):
            for effect in of(BroadcastTransaction, peer.wait(250)):
                sent[number].add(effect.transaction.hash)
                peers[1 - number].transaction(effect.transaction)
    assert sorted(map(len, sent)) == [0, 1]


def test_a_rival_of_the_final_block_is_not_followed_and_said_aloud() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, CHECKER)
    first, other = world.task_block(), world.task_block(total_iter=5)
    peer.block(first, other)
    tip = peer.state.tip_hash
    rival = other.hash if tip == first.hash else first.hash
    said, wrong = statement(peer.chain, tip), statement(peer.chain, rival)
    certificate = quorum(world, Stage.PRECOMMIT, said, range(1, 4))
    shown = quorum(world, Stage.PRECOMMIT, wrong, range(1, 4))
    peer.send(HeadersAnswered(world.address(1), (), (certificate,)))
    assert peer.chain.finality.final.hash == tip
    effects = peer.send(HeadersAnswered(world.address(1), (), (shown,)))
    assert peer.state.tip_hash == tip
    assert len(of(ConflictingCertificate, effects)) == 1
    assert {e.first.sender for e in of(DoubleVoteFound, effects)} == {
        world.address(member) for member in range(1, 4)
    }


def test_whoever_names_a_later_final_block_is_asked_and_no_more_than_now_and_then() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, CHECKER)
    peer.block(world.task_block())
    far = Statement(9, 1, peer.state.tip_hash, bytes(32), 8, peer.state.tip_hash)
    hears(peer, voted(world, 1, Stage.PREVOTE, far))
    asked = of(RequestHeaders, peer.wait(2_000))
    assert [(each.peer, each.justified_round) for each in asked] == [(world.address(1), 0)]
    peer.send(HeadersAnswered(world.address(1), ()))
    assert len(of(RequestHeaders, peer.wait(300_000))) < 30


def test_votes_settle_a_dispute_at_once() -> None:
    world = LearningConsortium(5)
    peer = PeerDriver(world, 0, CHECKER)
    peer.block(world.task_block())
    start = peer.state
    updates = world.updates(range(5), start)
    peer.transaction(*updates)
    peer.wait(CHECKER.omission_grace_ms)
    omitting = world.model_block(start, updates[:3])
    peer.block(omitting)
    assert peer.state is start
    # Blocks above are voted for too, which this vehicle has heard of alone.
    said = Statement(1, omitting.header.height, omitting.hash, bytes(32), 0, world.genesis.hash)
    hears(peer, *(voted(world, member, Stage.PREVOTE, said) for member in range(1, 5)), stamp=5)
    peer.wait(250)
    assert peer.state.tip_hash == omitting.hash


def test_votes_far_ahead_fill_no_memory_and_move_nobody_to_the_end() -> None:
    world = LearningConsortium(3)
    peer = PeerDriver(world, 0, CHECKER)
    peer.block(world.task_block())
    tip = peer.state.tip_hash
    for number in range(1, 200):
        said = Statement(2**62 + number, 1, tip, bytes(32), number, tip)
        hears(peer, voted(world, 1, Stage.PREVOTE, said), stamp=number)
    voting = peer.peer._voting
    assert len(voting.book.said()) < 20
    assert voting._round < 2**40


def test_what_was_said_on_a_left_branch_waits_again_where_power_failed_as_it_was_left() -> None:
    """Votes are stored that lead to another branch, and nothing was done about it any more."""
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, CHECKER)
    withdrawal = world.sign(0, WithdrawFile("tile"))
    first = world.block(world.start, [withdrawal])
    other = world.block(world.start, [world.sign(1, WithdrawFile("tile"))])
    peer.block(first, other)
    said = statement(peer.chain, other.hash)
    peer.chain.store.keep_quorum(quorum(world, Stage.PREVOTE, said, range(1, 4)))
    again = PeerDriver(world, 0, CHECKER, Blockchain(world.genesis, peer.chain.store))
    assert again.state.tip_hash == other.hash
    assert again.peer.waiting_transaction(withdrawal.hash) == withdrawal
