"""What a vehicle says again, and whom it learns of by what others say."""

from __future__ import annotations

from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import AnnounceTip, Fetch, TipChanged
from bift_ros.peer.events import (
    BlockReceived,
    DatasetChanged,
    Event,
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


def test_the_proposers_files_are_asked_of_the_proposer_before_its_tip_is_heard() -> None:
    world = LearningConsortium(4)
    peer = PeerDriver(world, 0)
    proposal = world.sign(1, world.proposal(), world.start)
    peer.hidden.add(proposal.payload.init_cid)
    block = world.block(world.start, [proposal], miner=2)
    effects = peer.send(
        DatasetChanged(10),
        TransactionReceived(proposal, "memory://1"),
        BlockReceived(block, "memory://2"),
    )
    assert any("memory://1" in fetch.providers for fetch in of(Fetch, effects))


def test_a_rule_that_had_too_few_updates_for_its_paper_says_so() -> None:
    world = LearningConsortium(5, byzantine_fraction=0.3)
    peer = PeerDriver(world, 0, PeerConfig(mine=False, train=False))
    peer.block(world.task_block(rule="bulyan"))
    effects = peer.block(world.model_block(peer.state, world.updates(range(5), peer.state)))
    (changed,) = of(TipChanged, effects)
    assert any("bulyan" in note for note in changed.notes)
