"""A vehicle that was away for long goes on from a final block that the members vouch for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from bift_ros.chain import blockchain as chain_module
from bift_ros.chain import branch_states
from bift_ros.consensus.quorums import Quorum
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Put, Refused, RequestSnapshot, StartedFrom, Unpin
from bift_ros.peer.snapshots import FAR, offer_of
from bift_ros.storage.cid import cid_of
from world.fleet import Fleet, Vehicle

ITERATIONS = 24


@pytest.fixture(autouse=True)
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_module, "KEPT_BLOCKS", 4)
    for module in (chain_module, branch_states):
        monkeypatch.setattr(module, "STATE_SPACING", 4)


def finalize(fleet: Fleet, vehicles: Iterable[Vehicle]) -> None:
    """All members have voted for what these vehicles stand on."""
    for vehicle in vehicles:
        state = vehicle.chain.tip_state
        vehicle.chain.finalize(Quorum.from_bytes(fleet.world.certificate(state)))


def without_the_last(fleet: Fleet, iterations: int = ITERATIONS) -> list[Vehicle]:
    """The vehicles that learn while the last one is away, and let old blocks and files go."""
    present = fleet.vehicles[:-1]
    fleet.propose(total_iter=iterations + 4)
    fleet[-1].crash()
    for number in range(1, iterations + 1):
        fleet.run_until(lambda n=number: all(fleet.iterations(v) >= n for v in present))
        finalize(fleet, present)
    fleet.run(1_000)
    for vehicle in present:
        assert vehicle.store.base.height > 1
        for cid in vehicle.files.keys() - vehicle.pins:
            del vehicle.files[cid]
    return present


def back(fleet: Fleet) -> Vehicle:
    returned = fleet[-1]
    returned.boot()
    fleet.introduce(returned)
    return returned


@pytest.mark.parametrize("encrypted", [False, True])
def test_who_was_away_for_long_starts_from_a_final_block_and_learns_on(encrypted: bool) -> None:
    fleet = Fleet(4, encrypt_models=encrypted)
    fleet.run(15_000)
    present = without_the_last(fleet)
    returned = back(fleet)
    fleet.run_until(lambda: returned.state.tip_hash == present[0].state.tip_hash, 60_000)
    (started,) = returned.effects(StartedFrom)
    assert started.height == present[0].store.snapshots()[0].height
    assert returned.chain.root.height == returned.store.base.height == started.height
    assert returned.state == present[0].state
    fleet.run_until(lambda: fleet.all_reach(ITERATIONS + 4), 300_000)
    assert any(returned.address in info.contributors for info in present[0].models)
    assert returned.store.block(returned.store.tip) is not None
    returned.crash()
    returned.boot()
    assert returned.state == present[0].state


def test_a_vehicle_that_keeps_all_takes_no_snapshot_while_others_have_every_block() -> None:
    fleet = Fleet(4, configs={n: PeerConfig(keep_all=True) for n in range(4)})
    for vehicle in fleet.vehicles:
        vehicle.chain._keep_all = True
    fleet.propose(total_iter=FAR)
    fleet[-1].crash()
    present = fleet.vehicles[:-1]
    fleet.run_until(lambda: all(fleet.iterations(v) == FAR for v in present), 300_000)
    finalize(fleet, present)
    returned = back(fleet)
    fleet.run_until(lambda: returned.state.tip_hash == present[0].state.tip_hash, 60_000)
    assert not returned.effects(RequestSnapshot)
    assert len(returned.models) == FAR


LIES: dict[str, Any] = {
    "no certificate": lambda good: (b"", good[1]),
    "rubbish": lambda good: (b"\x83\x01", good[1]),
    "no CID": lambda good: (good[0], "up"),
    "another file": lambda good: (good[0], cid_of(b"another")),
    "nothing": lambda good: (b"", ""),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_liar_is_passed_over(lie: str) -> None:
    fleet = Fleet(4)
    present = without_the_last(fleet)
    liar = present[0]
    liar.files[cid_of(b"another")] = b"another"
    good = offer_of(liar.chain)
    liar.give_snapshot = lambda: LIES[lie](good)
    liar.give_headers = lambda height: []
    returned = back(fleet)
    fleet.run_until(lambda: returned.state.tip_hash == present[1].state.tip_hash, 120_000)
    assert len(returned.effects(StartedFrom)) == 1


def test_too_few_votes_are_no_certificate() -> None:
    """Two of four members vouch for a chain of their own."""
    fleet = Fleet(4)
    present = without_the_last(fleet)
    for vehicle in present:
        newest = vehicle.store.snapshots()[0]
        state = vehicle.chain.state_at(newest.hash)
        forged = fleet.world.certificate(state, [0, 1])
        cid = cid_of(newest.state)
        vehicle.give_snapshot = lambda forged=forged, cid=cid: (forged, cid)
    returned = back(fleet)
    fleet.run(60_000)
    assert returned.effects(StartedFrom) == []
    reasons = [refused.reason for refused in returned.effects(Refused)]
    assert any("2 votes of known members" in reason for reason in reasons)


def test_a_vehicle_serves_its_snapshots_and_no_older_ones() -> None:
    fleet = Fleet(4)
    present = without_the_last(fleet, 30)
    for vehicle in present:
        put = [each.cid for each in vehicle.effects(Put)]
        gone = {cid for each in vehicle.effects(Unpin) for cid in each.cids}
        kept = [cid_of(snapshot.state) for snapshot in vehicle.store.snapshots()]
        states = [cid for cid in put if cid in kept or cid not in vehicle.files]
        assert set(kept) <= vehicle.pins
        assert set(kept) <= set(states)
        assert not gone & set(kept)
        assert offer_of(vehicle.chain)[1] == kept[0]
