"""A fleet that encrypts its models: who gives the key, who reads what, and what liars achieve."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bift_ros.chain.encryption import MAGIC, KeyUnavailable
from bift_ros.chain.keyring import Keyring
from bift_ros.chain.verification import verify_chain
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.key_epochs import key_in_force
from bift_ros.consensus.payloads import MembershipVote
from bift_ros.identity.keys import KeyPair
from bift_ros.identity.sealing import COPY_BYTES
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import BroadcastTransaction, Effect, Refused, Train
from bift_ros.peer.events import Submit
from bift_ros.simulation.world import SPEC
from world.fleet import Fleet, Vehicle


def encrypting(size: int = 4, **options: Any) -> Fleet:
    """A fleet that has its key."""
    fleet = Fleet(size, encrypt_models=True, **options)
    fleet.run_until(lambda: all(v.peer.can_write_models for v in fleet.vehicles))
    return fleet


def all_files(fleet: Fleet) -> dict[str, bytes]:
    """What anybody has seen on disk or wire."""
    return {cid: file for vehicle in fleet.vehicles for cid, file in vehicle.files.items()}


def given(fleet: Fleet) -> list[GroupKey]:
    """The keys that were sent."""
    said = [t.transaction for v in fleet.vehicles for t in v.effects(BroadcastTransaction)]
    return list(dict.fromkeys(t.payload for t in said if isinstance(t.payload, GroupKey)))


@pytest.mark.parametrize("mode", ["bift", "paper"])
def test_a_task_is_completed_and_no_file_can_be_read(mode: str) -> None:
    fleet = encrypting(mode=mode)
    fleet.propose(total_iter=2)
    fleet.run_until(lambda: fleet.all_reach(2))
    files = all_files(fleet)
    assert len(files) == 1 + 2 * 4 + 2
    for file in files.values():
        assert file.startswith(MAGIC)
        assert not any(tensor.name.encode() in file for tensor in SPEC.tensors)
        assert b"__metadata__" not in file
    assert len({v.state.latest_task.global_cid for v in fleet.vehicles if v.state.latest_task}) == 1
    assert len(given(fleet)) == 1
    for vehicle in fleet.vehicles:
        ring = Keyring(vehicle.key, fleet.world.genesis.hash)
        result = verify_chain(fleet.world.genesis, vehicle.store, files.__getitem__, keyring=ring)
        assert (result.problem, len(result.models)) == (None, 2)
    nothing = verify_chain(fleet.world.genesis, fleet[0].store, files.__getitem__)
    assert nothing.problem == "the models are encrypted: it takes a member's key"


def test_a_stranger_with_every_file_and_block_reads_nothing() -> None:
    fleet = encrypting()
    fleet.propose(total_iter=1)
    fleet.run_until(lambda: fleet.all_reach(1))
    ring = Keyring(KeyPair.from_seed(bytes(32)), fleet.world.genesis.hash)
    ring.learn(fleet[0].state)
    ring.hint([entry.key for entry in fleet[0].state.keys])
    for file in all_files(fleet).values():
        with pytest.raises(KeyUnavailable):
            ring.decrypt(file)
    result = verify_chain(
        fleet.world.genesis, fleet[0].store, all_files(fleet).__getitem__, keyring=ring
    )
    assert result.problem is not None
    assert "has no key" in result.problem


def test_a_joiner_checks_the_whole_chain_and_takes_part() -> None:
    fleet = encrypting()
    fleet.propose(total_iter=4)
    fleet.run_until(lambda: fleet.all_reach(2))
    joiner = join(fleet)
    fleet.run_until(lambda: fleet.all_reach(4), within_ms=300_000)
    models = joiner.models
    assert joiner.address in {a for info in models for a in info.contributors}
    assert [entry.key.epoch for entry in joiner.state.keys][-1] == joiner.state.epoch
    again = joiner.files[models[0].global_cid]
    assert joiner.peer.decrypt(again) == fleet[0].peer.decrypt(again)


def join(fleet: Fleet) -> Vehicle:
    """One more vehicle, which the others vote in."""
    key = KeyPair.from_seed(bytes(32))
    fleet.world.keys.append(key)
    joiner = Vehicle(fleet, len(fleet.vehicles), fleet[0].config)
    fleet.vehicles.append(joiner)
    fleet.by_address[joiner.address] = joiner
    fleet.introduce(joiner)
    fleet._tick(joiner)
    vote(fleet, "join", "bus", key)
    fleet.run_until(lambda: all(joiner.address in v.state.members for v in fleet.vehicles[:-1]))
    return joiner


def vote(fleet: Fleet, action: str, name: str, key: KeyPair) -> None:
    for member in (0, 1, 2):
        fleet[member].take(Submit(MembershipVote(action, name, key.public_key)))


def test_a_member_that_was_sent_away_reads_what_it_could_and_nothing_more() -> None:
    fleet = encrypting()
    fleet.propose(total_iter=4)
    fleet.run_until(lambda: fleet.all_reach(1))
    gone = fleet[3]
    vote(fleet, "leave", "vehicle3", gone.key)
    fleet.run_until(lambda: all(gone.address not in v.state.members for v in fleet.vehicles))
    before = fleet[0].state
    fleet.run_until(lambda: fleet.iterations(fleet[0]) == 4, within_ms=300_000)
    ring = Keyring(gone.key, fleet.world.genesis.hash)
    ring.learn(fleet[0].state)
    assert before.latest_task is not None
    done = before.latest_task.current_iter
    readable = []
    for info in fleet[0].models:
        try:
            ring.decrypt(fleet[0].files[info.global_cid])
        except KeyUnavailable:
            continue
        readable.append(info.current_iter)
    assert readable == list(range(1, done + 1))
    assert key_in_force(fleet[0].state) is not None


def test_a_restarted_vehicle_finds_its_keys_on_the_chain() -> None:
    fleet = encrypting()
    fleet.propose(total_iter=3)
    fleet.run_until(lambda: fleet.all_reach(1))
    fleet[2].crash()
    fleet[2].boot()
    assert fleet[2].peer.can_write_models
    fleet.run_until(lambda: fleet.all_reach(3))
    assert len(given(fleet)) == 1


def test_a_false_key_is_replaced_and_never_used() -> None:
    """A member gives one vehicle rubbish: nobody uses the key, and another one's follows."""
    fleet = encrypting()
    first = fleet[0].state.keys[0].maker
    liar = next(vehicle for vehicle in fleet.vehicles if vehicle.address != first)
    true = Keyring(liar.key, fleet.world.genesis.hash).own_key(liar.state)
    false = replace(true, copies=bytes(COPY_BYTES) + true.copies[COPY_BYTES:])
    liar.take(Submit(false))
    fleet.run_until(lambda: all(len(v.state.keys) == 2 for v in fleet.vehicles))
    assert not any(vehicle.peer.can_write_models for vehicle in fleet.vehicles)
    fleet.run_until(lambda: all(v.peer.can_write_models for v in fleet.vehicles))
    makers = [entry.maker for entry in fleet[0].state.keys]
    assert makers[:2] == [first, liar.address]
    assert len(set(makers)) == len(makers) == 3
    fleet.propose(total_iter=1)
    fleet.run_until(lambda: fleet.all_reach(1))


def test_a_file_that_is_not_encrypted_or_was_changed_counts_for_nothing() -> None:
    """Member 3 shows its update in the open, and everybody refuses it by name."""
    fleet = encrypting()
    honest = fleet[3].peer.encrypt
    fleet[3].peer.encrypt = lambda state, data: data  # type: ignore[method-assign]
    fleet.propose(total_iter=1)
    fleet.run_until(lambda: fleet.all_reach(1))
    fleet[3].peer.encrypt = honest  # type: ignore[method-assign]
    assert fleet[3].address not in fleet[0].models[0].contributors
    refused: list[Effect] = fleet[0].effects(Refused)
    reasons = [r.reason for r in refused if isinstance(r, Refused)]
    assert any("is not encrypted, as this fleet's must be" in reason for reason in reasons)


def test_nobody_trains_before_there_is_a_key() -> None:
    fleet = Fleet(4, encrypt_models=True, configs={n: PeerConfig(mine=False) for n in range(4)})
    fleet.run(30_000)
    assert not fleet[0].peer.can_write_models
    with pytest.raises(KeyUnavailable):
        fleet.propose()
    assert fleet[0].effects(Train) == []
