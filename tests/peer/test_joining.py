"""A vehicle that joined by vote takes part, and others catch up over what it made."""

from __future__ import annotations

import pytest

from bift_ros.consensus.blocks import Block, SignedHeader
from bift_ros.consensus.exceptions import UnknownSender
from bift_ros.consensus.payloads import MembershipVote, WithdrawFile
from bift_ros.consensus.state import State
from bift_ros.identity.keys import KeyPair
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import (
    BroadcastTransaction,
    Effect,
    Refused,
    RequestBlocks,
    RequestHeaders,
)
from bift_ros.peer.events import BlocksAnswered, HeadersAnswered, Submit
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of
from world.fleet import Fleet, Vehicle

CHECKER = PeerConfig(mine=False, train=False)


def with_joiner(world: LearningConsortium) -> MembershipVote:
    """One more key, of nobody in the genesis; the vote for it."""
    world.keys.append(KeyPair.from_seed(bytes(32)))
    return MembershipVote("join", "bus", world.keys[-1].public_key)


def joined_chain(world: LearningConsortium) -> tuple[list[Block], State]:
    """Votes, then two blocks that the joiner, number 4, mined, one with its update."""
    vote = with_joiner(world)
    votes = [world.sign(member, vote) for member in (0, 1, 2)]
    blocks = [world.block(world.start, [*votes, world.sign(3, world.proposal())])]
    state = world.apply(world.start, blocks[0])
    first_word = MembershipVote("leave", "vehicle3", world.keys[3].public_key)
    blocks.append(world.block(state, [world.sign(4, first_word, state)], miner=4))
    state = world.apply(state, blocks[-1])
    blocks.append(world.model_block(state, world.updates([0, 1, 4], state), miner=4))
    return blocks, world.apply(state, blocks[-1])


def answer(bench: PeerDriver, blocks: list[Block], effects: list[Effect]) -> None:
    """Give a peer all headers and blocks that it asks for, until it asks no more."""
    by_hash = {block.hash: block for block in blocks}
    while effects:
        made: list[Effect] = []
        for ask in of(RequestHeaders, effects):
            headers = tuple(SignedHeader(b.header, b.signature) for b in blocks)
            made += bench.send(HeadersAnswered(ask.peer, headers[max(0, ask.from_height - 1) :]))
        for wanted in of(RequestBlocks, effects):
            made += bench.block(*(by_hash[name] for name in wanted.hashes))
            made += bench.send(BlocksAnswered(wanted.peer))
        effects = made


def test_a_fresh_peer_catches_up_over_a_joiners_blocks() -> None:
    world = LearningConsortium(4)
    blocks, state = joined_chain(world)
    bench = PeerDriver(world, 0, CHECKER)
    weight = state.learning_weight
    effects = bench.send(world.tip(1, 3, state.tip_hash, weight)) + bench.wait(5_000)
    answer(bench, blocks, effects)
    assert bench.state.tip_hash == state.tip_hash
    assert bench.state.balances[world.address(4)] == world.genesis.policy.reward
    assert of(Refused, [effect for _, effect in bench.log]) == []


def test_a_vehicle_that_joins_catches_up_and_earns() -> None:
    fleet = Fleet(4)
    vote = with_joiner(fleet.world)
    joiner = Vehicle(fleet, 4, fleet[0].config)
    fleet.vehicles.append(joiner)
    fleet.by_address[joiner.address] = joiner
    fleet.introduce(joiner)
    fleet._tick(joiner)
    for member in (0, 1, 2):
        fleet[member].take(Submit(vote))
    fleet.run_until(lambda: all(joiner.address in v.state.members for v in fleet.vehicles))
    fleet.propose(total_iter=2)
    fleet.run_until(lambda: fleet.all_reach(2))
    balances = fleet[0].state.balances
    assert balances[joiner.address] > 0
    assert sum(balances.values()) % fleet.world.genesis.policy.reward == 0


def test_a_reorganisation_that_undoes_a_join_keeps_what_the_newcomer_has_said() -> None:
    world = LearningConsortium(4)
    votes = [world.sign(member, with_joiner(world)) for member in (0, 1, 2)]
    joined = world.block(world.start, votes)
    proposed = world.block(world.start, [world.sign(3, world.proposal())])
    working = world.apply(world.start, proposed)
    learnt = world.model_block(working, world.updates([0, 1, 2], working))
    for member in (0, 4):  # another's vehicle, and the newcomer's own
        peer = PeerDriver(world, member, CHECKER)
        peer.block(joined)
        payload = WithdrawFile("notes")
        said = world.sign(4, payload, peer.state)
        if member == 4:
            (sent,) = of(BroadcastTransaction, peer.send(Submit(payload)))
            assert sent.transaction == said
        else:
            peer.transaction(said)
        peer.block(proposed, learnt)
        assert peer.state.tip_hash == learnt.hash
        assert world.address(4) not in peer.state.members
        peer = PeerDriver(world, member, CHECKER, chain=peer.chain) if member == 4 else peer
        again = world.block(peer.state, votes)
        peer.block(again)
        assert peer.peer.waiting_transaction(said.hash) == said
        peer.block(world.block(world.apply(peer.state), [said]))
        assert peer.state.sequences[world.address(4)] == 1
        assert peer.peer.pending_transactions == 0


def test_whoever_has_not_joined_is_told_so() -> None:
    world = LearningConsortium(4)
    with_joiner(world)
    with pytest.raises(UnknownSender, match="is not a member"):
        PeerDriver(world, 4, CHECKER).send(Submit(WithdrawFile("notes")))


def test_a_vote_that_comes_too_late_does_not_hold_up_its_senders_account() -> None:
    world = LearningConsortium(4)
    vote = with_joiner(world)
    votes = [world.sign(member, vote) for member in (1, 2, 3)]
    peer = PeerDriver(world, 0, CHECKER)
    sent = peer.send(Submit(vote)) + peer.send(Submit(WithdrawFile("notes")))
    _, later = (each.transaction for each in of(BroadcastTransaction, sent))
    effects = peer.block(world.block(world.start, votes))
    (filling,) = (each.transaction for each in of(BroadcastTransaction, effects))
    peer.block(world.block(peer.state, [filling, later]))
    assert peer.state.sequences[world.address(0)] == 2
    assert peer.peer.pending_transactions == 0
