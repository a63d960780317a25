"""What a vehicle says again, and whom it learns of by what others say."""

from __future__ import annotations

from bift_ros.consensus.payloads import MembershipVote
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import AnnounceTip, Fetch, TipChanged
from bift_ros.peer.events import (
    BlockReceived,
    DatasetChanged,
    Event,
    FetchFailed,
    Tick,
    TipReceived,
    TransactionReceived,
)
from world.consortium import LearningConsortium
from world.driver import PeerDriver, of
from world.fleet import Fleet, Vehicle


def test_the_tip_is_announced_again_and_again() -> None:
    peer = PeerDriver(LearningConsortium(4), 0, PeerConfig(announce_ms=5_000))
    assert len(of(AnnounceTip, peer.wait(20_000))) == 4


def test_a_vehicle_that_missed_the_last_block_and_tip_still_learns_of_them() -> None:
    fleet = Fleet(4)
    deaf_until = 0

    def link(_: Vehicle, receiver: Vehicle, event: Event) -> int | None:
        lost = receiver.number == 3 and fleet.now < deaf_until
        return None if lost and isinstance(event, BlockReceived | TipReceived) else 20

    fleet.link = link
    fleet.propose(total_iter=1)
    deaf_until = fleet.now + 30_000
    fleet.run(60_000)
    assert len({v.state.tip_hash for v in fleet.vehicles}) == 1


def test_the_proposers_files_are_asked_of_the_proposer_before_others() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0)
    proposal = world.sign(1, world.proposal(), world.start)
    peer.hidden.add(proposal.payload.init_cid)
    block = world.block(world.start, [proposal], miner=2)
    effects = peer.send(
        world.tip(2, 0, bytes(32), 0, "memory://2"),
        world.tip(1, 0, bytes(32), 0, "memory://1"),
        DatasetChanged(10),
        TransactionReceived(proposal),
        BlockReceived(block),
    )
    assert [fetch.providers for fetch in of(Fetch, effects)] == [("memory://1", "memory://2")]


def test_a_file_is_asked_for_at_once_when_its_senders_gateway_becomes_known() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, PeerConfig(train=False))
    peer.block(world.task_block())
    update = world.update(1, peer.state)
    peer.hidden.add(update.payload.cid)
    asked = of(Fetch, peer.transaction(update))
    assert [fetch.providers for fetch in asked if fetch.cid == update.payload.cid] == [()]
    (again,) = of(Fetch, peer.send(world.tip(1, 0, bytes(32), 0, "memory://1")))
    assert (again.cid, again.providers) == (update.payload.cid, ("memory://1",))
    # What the same member says again has nobody asked sooner.
    assert not of(Fetch, peer.send(world.tip(1, 0, bytes(32), 0, "memory://other", stamp=2)))
    (later,) = of(Fetch, peer.wait(1_250))
    assert later.providers == ("memory://other",)


def test_a_gateway_that_becomes_known_while_others_are_asked_is_asked_next() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0, PeerConfig(train=False))
    peer.block(world.task_block())
    update = world.update(1, peer.state)
    (asked,) = of(Fetch, peer.peer.handle(TransactionReceived(update), peer.time))
    peer.peer.handle(world.tip(1, 0, bytes(32), 0, "memory://1"), peer.time)
    peer.peer.handle(FetchFailed(asked.cid, "nobody has it"), peer.time)
    (again,) = of(Fetch, peer.peer.handle(Tick(), peer.time))
    assert (again.cid, again.providers) == (asked.cid, ("memory://1",))


def test_a_blocks_files_are_asked_of_their_senders_then_of_its_miner_then_of_others() -> None:
    world = LearningConsortium(5)
    peer = PeerDriver(world, 0, PeerConfig(mine=False, train=False))
    peer.block(world.task_block())
    updates = world.updates([1, 2], peer.state)
    peer.hidden |= {update.payload.cid for update in updates}
    peer.send(*(world.tip(n, 0, bytes(32), 0, f"memory://{n}") for n in (4, 3, 2, 1)))
    effects = peer.block(world.model_block(peer.state, updates, miner=3))
    asked = {fetch.cid: fetch.providers for fetch in of(Fetch, effects)}
    for update, sender in zip(updates, (1, 2), strict=True):
        first = (f"memory://{sender}", "memory://3", "memory://4")
        assert asked[update.payload.cid][:3] == first


def test_who_is_no_member_any_more_is_asked_for_nothing() -> None:
    world = LearningConsortium(5)
    peer = PeerDriver(world, 0, PeerConfig(mine=False))
    peer.send(world.tip(4, 0, bytes(32), 0, "memory://4"), DatasetChanged(10))
    out = MembershipVote("leave", "vehicle4", world.keys[4].public_key)
    votes = world.block(world.start, [world.sign(n, out, world.start) for n in range(3)])
    peer.block(votes)
    assert len(peer.state.members) == 4
    proposal = world.sign(1, world.proposal(), peer.state)
    peer.hidden.add(proposal.payload.init_cid)
    effects = peer.block(world.block(peer.state, [proposal]))
    assert [fetch.providers for fetch in of(Fetch, effects)] == [()]


def test_a_rule_that_had_too_few_updates_for_its_paper_says_so() -> None:
    world = LearningConsortium(5, byzantine_fraction=0.3)
    peer = PeerDriver(world, 0, PeerConfig(mine=False, train=False))
    peer.block(world.task_block(rule="bulyan"))
    effects = peer.block(world.model_block(peer.state, world.updates(range(5), peer.state)))
    (changed,) = of(TipChanged, effects)
    assert any("bulyan" in note for note in changed.notes)
