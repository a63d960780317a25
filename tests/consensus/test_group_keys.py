"""Keys for model files on the chain: who can read what, before and after members change."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from bift_ros.chain.encryption import KeyUnavailable
from bift_ros.chain.keyring import Keyring
from bift_ros.consensus import exceptions as refused
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.key_epochs import key_in_force
from bift_ros.consensus.payloads import MembershipVote
from bift_ros.consensus.state import State
from bift_ros.consensus.transaction_rules import check_transaction
from bift_ros.consensus.transactions import MAX_GROUP_KEY_BYTES, Transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.identity.sealing import COPY_BYTES

JOINER = 4


@pytest.fixture
def fleet(make_fleet: Any) -> Any:
    """Four members who encrypt, and the key of one who is to join as number 4."""
    fleet = make_fleet(4, encrypt_models=True, minimum_updates=2)
    fleet.keys.append(KeyPair.from_seed(hashlib.sha256(b"bus").digest()))
    return fleet


def keyring(fleet: Any, member: int) -> Keyring:
    return Keyring(fleet.keys[member], fleet.genesis.hash)


def given(fleet: Any, state: State, member: int, key: GroupKey | None = None) -> State:
    """The state after a block in which a member gives its key, or `key` in its place."""
    key = key or keyring(fleet, member).own_key(state)
    tx = fleet.sign(member, key, state)
    check_transaction(state, fleet.genesis, tx)
    after: State = fleet.apply(state, fleet.block(state, [tx]))
    return after


def voted(fleet: Any, state: State, action: str, member: int) -> State:
    """The state after the votes of just enough others for a member to join or leave."""
    name = "bus" if member == JOINER else f"vehicle{member}"
    vote = MembershipVote(action, name, fleet.keys[member].public_key)
    voters = [n for n in range(4) if n != member][: len(state.members) // 2 + 1]
    votes = [fleet.sign(n, vote, state) for n in voters]
    after: State = fleet.apply(state, fleet.block(state, votes))
    return after


def readers(fleet: Any, state: State, file: bytes) -> set[int]:
    """Who can read a file with what the chain says at `state`."""
    found = set()
    for member in range(len(fleet.keys)):
        ring = keyring(fleet, member)
        ring.learn(state)
        try:
            assert ring.decrypt(file) == b"a model"
        except KeyUnavailable:
            continue
        found.add(member)
    return found


def write(fleet: Any, state: State, member: int = 0) -> bytes:
    return keyring(fleet, member).encrypt(state, b"a model")


def test_all_members_write_the_same_and_strangers_read_nothing(fleet: Any) -> None:
    state = given(fleet, fleet.start, 0)
    files = {write(fleet, state, member) for member in range(4)}
    assert len(files) == 1
    assert readers(fleet, state, files.pop()) == {0, 1, 2, 3}


def test_nobody_writes_before_there_is_a_key(fleet: Any) -> None:
    with pytest.raises(KeyUnavailable, match="no key for its present members"):
        write(fleet, fleet.start)


def test_who_joins_reads_what_came_before_and_after(fleet: Any) -> None:
    state = given(fleet, fleet.start, 0)
    before = write(fleet, state)
    state = voted(fleet, state, "join", JOINER)
    assert key_in_force(state) is None
    assert readers(fleet, state, before) == {0, 1, 2, 3}
    state = given(fleet, state, 1)
    assert readers(fleet, state, before) == {0, 1, 2, 3, JOINER}
    assert readers(fleet, state, write(fleet, state, JOINER)) == {0, 1, 2, 3, JOINER}


def test_who_has_left_reads_nothing_more(fleet: Any) -> None:
    state = given(fleet, fleet.start, 0)
    before = write(fleet, state)
    state = voted(fleet, state, "leave", 3)
    with pytest.raises(KeyUnavailable):
        write(fleet, state)  # the old key is good for nothing new
    state = given(fleet, state, 1)
    after = write(fleet, state)
    assert readers(fleet, state, before) == {0, 1, 2, 3}
    assert readers(fleet, state, after) == {0, 1, 2}


def test_a_key_leads_back_over_many_changes(fleet: Any) -> None:
    state = given(fleet, fleet.start, 0)
    first = write(fleet, state)
    for action in ("leave", "join", "leave", "join"):
        state = given(fleet, voted(fleet, state, action, 3), 1)
    state = voted(fleet, state, "join", JOINER)
    assert readers(fleet, given(fleet, state, 2), first) == {0, 1, 2, 3, JOINER}


def lie(fleet: Any, state: State, **changes: Any) -> GroupKey:
    """Member 1's key, with a fault."""
    return replace(keyring(fleet, 1).own_key(state), **changes)


def test_a_key_that_is_false_for_one_is_used_by_none(fleet: Any) -> None:
    true = keyring(fleet, 1).own_key(fleet.start)
    copies = true.copies[:COPY_BYTES] + bytes(COPY_BYTES) + true.copies[2 * COPY_BYTES :]
    state = given(fleet, fleet.start, 1, lie(fleet, fleet.start, copies=copies))
    for member in range(4):
        ring = keyring(fleet, member)
        assert ring.in_force(state) is None
        assert ring.is_wanting(state)
    state = given(fleet, state, 2)
    assert not keyring(fleet, 0).is_wanting(state)
    assert readers(fleet, state, write(fleet, state)) == {0, 1, 2, 3}


def test_a_key_that_leads_nowhere_is_replaced_though_it_can_be_used(fleet: Any) -> None:
    state = given(fleet, fleet.start, 0)
    before = write(fleet, state)
    joined = voted(fleet, state, "join", JOINER)
    for fault in ({"previous": b"", "links": b""}, {"links": bytes(COPY_BYTES)}):
        state = given(fleet, joined, 1, lie(fleet, joined, **fault))
        assert keyring(fleet, 0).is_wanting(state)
        assert readers(fleet, state, before) == {0, 1, 2, 3}
        state = given(fleet, state, 2)
        assert not keyring(fleet, 0).is_wanting(state)
        assert readers(fleet, state, before) == {0, 1, 2, 3, JOINER}


def test_two_keys_at_a_time_are_both_good(fleet: Any) -> None:
    """Whoever wrote under the first, on whichever branch, is read; the next key leads to both."""
    first = given(fleet, fleet.start, 0)
    both = given(fleet, first, 1)
    files = [write(fleet, first), write(fleet, both)]
    assert files[0] != files[1]
    state = given(fleet, voted(fleet, both, "join", JOINER), 2)
    for file in files:
        assert readers(fleet, state, file) == {0, 1, 2, 3, JOINER}


def test_a_key_that_is_not_for_these_members_changes_nothing(fleet: Any) -> None:
    old = keyring(fleet, 1).own_key(fleet.start)
    state = given(fleet, fleet.start, 0)
    short = replace(old, copies=old.copies[:COPY_BYTES])
    assert given(fleet, state, 1, short).keys == state.keys
    assert given(fleet, state, 1, keyring(fleet, 0).own_key(state)).keys == state.keys  # a copy
    twice = given(fleet, given(fleet, state, 1), 1, lie(fleet, state, ephemeral=bytes(32)))
    assert len(twice.keys) == 2
    joined = voted(fleet, state, "join", JOINER)
    late = given(fleet, joined, 1, old)
    assert late.keys == state.keys
    assert late.sequences[fleet.address(1)] == joined.sequences[fleet.address(1)] + 1


def test_the_same_changes_lead_to_the_same_epoch_on_every_branch(fleet: Any) -> None:
    one = voted(fleet, fleet.start, "join", JOINER)
    other = voted(fleet, given(fleet, fleet.start, 0), "join", JOINER)
    assert one.tip_hash != other.tip_hash
    assert one.epoch == other.epoch != fleet.start.epoch
    assert voted(fleet, fleet.start, "leave", 3).epoch != one.epoch


def test_a_model_block_waits_for_a_key(fleet: Any) -> None:
    tasked = fleet.with_task()
    with pytest.raises(refused.InvalidBlock, match="no key to encrypt the model with"):
        fleet.apply(tasked, fleet.model_block(tasked, [0, 1]))
    keyed = given(fleet, tasked, 0)
    assert fleet.apply(keyed, fleet.model_block(keyed, [0, 1])).latest_task.current_iter == 1


def test_a_chain_that_does_not_encrypt_takes_no_key(make_fleet: Any) -> None:
    plain = make_fleet(4)
    tx = plain.sign(0, keyring(plain, 0).own_key(plain.start))
    with pytest.raises(refused.InvalidTransaction, match="model files are not encrypted"):
        check_transaction(plain.start, plain.genesis, tx)


def test_hints_open_what_the_chain_brings_later(fleet: Any) -> None:
    """A new member checks the first blocks before it has come to those that bring its key."""
    first = given(fleet, fleet.start, 0)
    before = write(fleet, first)
    last = given(fleet, voted(fleet, first, "join", JOINER), 1)
    ring = keyring(fleet, JOINER)
    ring.learn(first)
    with pytest.raises(KeyUnavailable):
        ring.decrypt(before)
    assert ring.hint([entry.key for entry in reversed(last.keys)])
    ring.learn(first)
    assert ring.decrypt(before) == b"a model"
    assert ring.encrypt(first, b"a model") == before
    assert not ring.hint([entry.key for entry in reversed(last.keys)])
    stranger = Keyring(KeyPair.from_seed(bytes(32)), fleet.genesis.hash)
    assert not stranger.hint([entry.key for entry in last.keys])


def test_a_key_for_many_is_longer_than_other_transactions(make_fleet: Any) -> None:
    many = make_fleet(100, encrypt_models=True)
    tx = many.sign(0, keyring(many, 0).own_key(many.start))
    assert 4_800 < len(tx.to_bytes()) < MAX_GROUP_KEY_BYTES
    assert Transaction.from_bytes(tx.to_bytes()) == tx
    after = many.apply(many.start, many.block(many.start, [tx]))
    assert keyring(many, 99).in_force(after) is not None
