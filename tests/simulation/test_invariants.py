"""The checker itself: it must see what it is there to see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bift_ros.consensus.payloads import Transfer
from bift_ros.consensus.transactions import sign_transaction
from bift_ros.peer.effects import BroadcastTransaction, EquivocationFound, Fetch, TipChanged
from bift_ros.peer.events import Submit
from bift_ros.simulation.byzantine_vehicle import FORGED_URL
from bift_ros.simulation.fleet import Fleet
from bift_ros.simulation.history import History
from bift_ros.simulation.scenario import Scenario
from bift_ros.simulation.world import INITIAL_MODEL
from bift_ros.storage.cid import cid_of

QUIET = Scenario(4, 0, 4, faults=())


def finished_fleet() -> Fleet:
    fleet = Fleet(QUIET, 1, History())
    fleet.begin()
    fleet.honest[0].keep(INITIAL_MODEL)
    fleet.honest[0].take(Submit(fleet.proposal(cid_of(INITIAL_MODEL))))
    fleet.queue.run_until(fleet.queue.now + 60_000)
    assert fleet.completed()
    return fleet


def broken(fleet: Fleet) -> set[str]:
    assert fleet.invariants is not None
    return {violation.invariant for violation in fleet.invariants.violations}


def test_a_sound_run_breaks_nothing():
    fleet = finished_fleet()
    fleet.invariants.finish(True)
    assert broken(fleet) == set()


def test_leaving_a_confirmed_block_breaks_agreement():
    fleet = finished_fleet()
    vehicle, genesis = fleet.honest[1], fleet.world.genesis
    low = vehicle.chain.canonical(1, 1)[0]
    vehicle.chain._tip = vehicle.chain.node(low.hash)
    other = next(iter(fleet.invariants._nodes.values()))
    fleet.invariants._nodes[low.hash] = replace(other, height=1, parent=genesis.hash, models=9)
    fleet.invariants._top[vehicle.number] = (1, b"another block")
    fleet.invariants.effect(vehicle, TipChanged(low, 0))
    fleet.invariants.after_event(vehicle)
    assert "agreement" in broken(fleet)


def test_a_block_that_does_not_recompute_breaks_validity():
    fleet = finished_fleet()
    vehicle = fleet.honest[0]
    block = next(b for b in vehicle.chain.canonical(1, 99) if b.header.model_flag)
    info = replace(block.body.model_info, accuracy=0.125)
    false = replace(block, body=replace(block.body, model_info=info))
    fleet.invariants._nodes.pop(block.hash)
    fleet.invariants.stored(vehicle, false)
    fleet.invariants.after_event(vehicle)
    assert broken(fleet) == {"validity"}


def test_a_forgotten_transfer_breaks_no_loss():
    fleet = finished_fleet()
    vehicle = fleet.honest[0]
    transfer = Transfer(fleet.honest[1].address, 1)
    lost = sign_transaction(vehicle.key, 9, transfer, fleet.world.genesis.hash)
    fleet.invariants.effect(vehicle, BroadcastTransaction(lost))
    fleet.invariants.finish(True)
    assert broken(fleet) == {"no loss"}


def test_an_unfinished_task_breaks_liveness():
    fleet = finished_fleet()
    fleet.invariants.finish(False)
    assert broken(fleet) == {"liveness"}


def test_evidence_against_an_honest_miner_is_seen():
    fleet = finished_fleet()
    signed = fleet.honest[0].chain.canonical_headers(1, 2)
    fleet.invariants.effect(fleet.honest[1], EquivocationFound(*signed))
    assert broken(fleet) == {"no framing"}


def test_a_file_that_no_block_names_is_not_to_be_fetched():
    fleet = finished_fleet()
    fleet.unnamed.add("made up")
    fleet.invariants.effect(fleet.honest[1], Fetch("made up", (), 1))
    assert broken(fleet) == {"fetching"}


def test_an_address_that_nobody_has_signed_is_not_to_be_asked():
    fleet = finished_fleet()
    fleet.invariants.effect(fleet.honest[1], Fetch("a file", (FORGED_URL,), 1))
    assert broken(fleet) == {"fetching"}


@pytest.mark.parametrize(("count", "size"), [(13, 1), (1, 20_000)])
def test_what_one_vehicle_fills_of_a_disk_is_bounded(count, size):
    fleet = finished_fleet()
    vehicle = fleet.honest[1]
    for n in range(count):
        vehicle.files[f"file {n}"] = bytes(size)
        fleet.byzantine_files[f"file {n}"] = 0
    fleet.invariants.effect(vehicle, TipChanged(vehicle.chain.canonical(1, 1)[0], 0))
    fleet.invariants.after_event(vehicle)
    assert broken(fleet) == {"disk"}


def test_a_peer_that_raises_is_a_crash():
    fleet = finished_fleet()
    vehicle = fleet.honest[1]
    vehicle.peer.handle = None  # what any event then raises stands for a fault of the peer's
    vehicle.tick()
    assert broken(fleet) == {"no crash"}
    assert not vehicle.online
