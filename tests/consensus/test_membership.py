"""Members join and leave by a vote that the chain records; everybody counts it alike."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.consensus import exceptions as refused
from bift_ros.consensus.genesis import MAX_MEMBERS, Member
from bift_ros.consensus.membership import MAX_OPEN_VOTES, check_vote
from bift_ros.consensus.payloads import MembershipVote, Transfer
from bift_ros.consensus.state import State
from bift_ros.consensus.transaction_rules import check_transaction
from bift_ros.consensus.transactions import Transaction
from bift_ros.consensus.transition import state_transition
from bift_ros.identity.keys import KeyPair
from world.edwards import UNSOUND_KEYS

JOINER = 5


def key_of(label: str) -> KeyPair:
    return KeyPair.from_seed(hashlib.sha256(label.encode()).digest())


@pytest.fixture
def fleet(make_fleet: Any) -> Any:
    """Five members, and the key of one who is to join as number 5."""
    fleet = make_fleet(5, minimum_updates=3)
    fleet.keys.append(key_of("bus"))
    return fleet


def join(fleet: Any, name: str = "bus") -> MembershipVote:
    return MembershipVote("join", name, fleet.keys[JOINER].public_key)


def leave(fleet: Any, member: int) -> MembershipVote:
    return MembershipVote("leave", f"vehicle{member}", fleet.keys[member].public_key)


def voted(fleet: Any, state: State, vote: MembershipVote, voters: Sequence[int]) -> State:
    """The state after one block with these votes."""
    block = fleet.block(state, [fleet.sign(member, vote, state) for member in voters])
    after: State = fleet.apply(state, block)
    return after


def refuse(fleet: Any, state: State, tx: Transaction, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        check_transaction(state, fleet.genesis, tx)
    assert type(caught.value) is kind


def checked(fleet: Any, state: State, block: Any) -> State:
    """The state after a block whose header is checked too."""
    return state_transition(state, fleet.genesis, block, block.header.timestamp)


def test_more_than_the_threshold_must_vote(fleet: Any) -> None:
    vote, address = join(fleet), fleet.address(JOINER)
    two = voted(fleet, fleet.start, vote, [0, 1])
    assert address not in two.members
    assert two.ballots == {vote: frozenset({fleet.address(0), fleet.address(1)})}
    three = voted(fleet, two, vote, [4])
    assert three.members[address] == Member("bus", fleet.keys[JOINER].public_key)
    assert three.ballots == {}
    assert (three.balances[address], three.sequences[address]) == (0, 0)


def test_half_the_members_are_not_more_than_half(make_fleet: Any) -> None:
    fleet = make_fleet(4)
    fleet.keys += [key_of("spare"), key_of("bus")]
    half = voted(fleet, fleet.start, join(fleet), [0, 1])
    assert len(half.members) == 4
    assert len(voted(fleet, half, join(fleet), [2]).members) == 5


def test_another_threshold_is_kept(make_fleet: Any) -> None:
    fleet = make_fleet(5, membership_threshold=0.8)
    fleet.keys.append(key_of("bus"))
    four = voted(fleet, fleet.start, join(fleet), [0, 1, 2, 3])
    assert len(four.members) == 5
    assert len(voted(fleet, four, join(fleet), [4]).members) == 6


def test_a_member_votes_once(fleet: Any) -> None:
    once = voted(fleet, fleet.start, join(fleet), [0])
    again = fleet.sign(0, join(fleet), once)
    refuse(fleet, once, again, refused.InvalidTransaction, "has voted for bus to join already")


def test_votes_for_another_name_or_key_are_other_ballots(fleet: Any) -> None:
    state = voted(fleet, fleet.start, join(fleet), [0, 1])
    state = voted(fleet, state, join(fleet, "tram"), [2, 3])
    assert fleet.address(JOINER) not in state.members
    assert len(state.ballots) == 2


def test_names_and_keys_must_not_clash(fleet: Any) -> None:
    start, key = fleet.start, fleet.keys[JOINER].public_key
    for vote, said in (
        (MembershipVote("join", "vehicle1", key), "another member has this name"),
        (MembershipVote("join", "bus", fleet.keys[1].public_key), "is the member vehicle1's"),
        (MembershipVote("leave", "bus", key), "no member has this name and key"),
        (MembershipVote("leave", "vehicle1", key), "no member has this name and key"),
        (MembershipVote("leave", "vehicle1", fleet.keys[2].public_key), "no member has this name"),
    ):
        refuse(fleet, start, fleet.sign(0, vote), refused.InvalidTransaction, said)


def test_a_name_that_was_taken_meanwhile_is_refused(fleet: Any) -> None:
    other = MembershipVote("join", "bus", key_of("another bus").public_key)
    state = voted(fleet, fleet.start, other, [0, 1])
    state = voted(fleet, state, join(fleet), [0, 1, 2])
    late = fleet.sign(2, other, state)
    refuse(fleet, state, late, refused.InvalidTransaction, "another member has this name")


def test_the_least_that_make_a_model_stay(fleet: Any) -> None:
    state = fleet.start
    for member in (4, 3):
        state = voted(fleet, state, leave(fleet, member), [0, 1, 2])
    assert len(state.members) == 3
    tx = fleet.sign(0, leave(fleet, 2), state)
    refuse(fleet, state, tx, refused.InvalidTransaction, "3 members are the least")


def test_open_votes_are_bounded(fleet: Any) -> None:
    state = fleet.start
    votes = [
        MembershipVote("join", f"bus{n}", key_of(f"bus {n}").public_key)
        for n in range(MAX_OPEN_VOTES + 1)
    ]
    for vote in votes[:-1]:
        state = voted(fleet, state, vote, [0])
    one_more = fleet.sign(0, votes[-1], state)
    refuse(fleet, state, one_more, refused.InvalidTransaction, "8 votes that are not decided")
    # A decided one makes room, and others are not held up.
    state = voted(fleet, state, votes[0], [1, 2])
    check_transaction(state, fleet.genesis, fleet.sign(0, votes[-1], state))


def test_a_joiner_counts_only_after_the_vote_took_effect(fleet: Any) -> None:
    gift = Transfer(fleet.address(0), 1)
    early = fleet.sign(JOINER, gift, voted(fleet, fleet.start, join(fleet), [0, 1, 2]))
    before = voted(fleet, fleet.start, join(fleet), [0, 1])
    refuse(fleet, before, early, refused.UnknownSender, "not a member")
    with pytest.raises(refused.UnknownMiner):
        checked(fleet, before, fleet.block(before, miner=JOINER))

    after = voted(fleet, before, join(fleet), [2])
    assert checked(fleet, after, fleet.block(after, miner=JOINER)).height == 3
    tasked = fleet.apply(after, fleet.block(after, [fleet.sign(0, fleet.proposal(), after)]))
    done = checked(fleet, tasked, fleet.model_block(tasked, [0, 1, JOINER], miner=JOINER))
    assert done.balances[fleet.address(JOINER)] == fleet.genesis.policy.reward
    check_transaction(done, fleet.genesis, fleet.sign(JOINER, gift, done))
    check_transaction(done, fleet.genesis, fleet.sign(JOINER, leave(fleet, 4), done))


def test_a_vote_takes_effect_from_the_next_transaction_on(fleet: Any) -> None:
    votes = [fleet.sign(member, join(fleet)) for member in (0, 1, 2)]
    state = voted(fleet, fleet.start, join(fleet), [0, 1, 2])
    hello = fleet.sign(JOINER, leave(fleet, 4), state)
    both = fleet.apply(fleet.start, fleet.block(fleet.start, [*votes, hello]))
    assert fleet.address(JOINER) in both.members
    with pytest.raises(refused.InvalidBlockTransaction, match="not a member"):
        fleet.apply(fleet.start, fleet.block(fleet.start, [hello, *votes]))


def test_who_has_left_says_nothing_and_keeps_its_stake(fleet: Any) -> None:
    state = fleet.with_task()
    state = fleet.apply(state, fleet.model_block(state, [0, 1, 4]))
    vote = leave(fleet, 4)
    state = voted(fleet, state, vote, [0, 1, 4])
    assert fleet.address(4) not in state.members
    assert state.balances[fleet.address(4)] == fleet.genesis.policy.reward
    gift = fleet.sign(4, Transfer(fleet.address(0), 1), state)
    refuse(fleet, state, gift, refused.UnknownSender, "not a member")
    with pytest.raises(refused.UnknownMiner):
        checked(fleet, state, fleet.block(state, miner=4))
    # Once voted in again it goes on where it was.
    again = MembershipVote("join", "vehicle4", fleet.keys[4].public_key)
    state = voted(fleet, state, again, [0, 1, 2])
    assert state.balances[fleet.address(4)] == fleet.genesis.policy.reward
    assert state.sequences[fleet.address(4)] == 1
    check_transaction(state, fleet.genesis, fleet.sign(4, Transfer(fleet.address(0), 1), state))


def test_votes_of_those_who_left_count_no_more(fleet: Any) -> None:
    state = voted(fleet, fleet.start, join(fleet), [3, 4])
    state = voted(fleet, state, leave(fleet, 4), [0, 1, 2])
    state = voted(fleet, state, join(fleet), [0])
    assert len(state.members) == 4  # two of four
    assert len(voted(fleet, state, join(fleet), [1]).members) == 5


def test_a_reorganisation_takes_a_change_back(fleet: Any) -> None:
    """Plain blocks weigh nothing, so a branch with learning outranks the one with the votes."""
    chain = Blockchain(fleet.genesis, ChainStore(":memory:", fleet.genesis))

    def add(state: State, block: Any) -> State:
        after = checked(fleet, state, block)
        chain.add(block, after)
        return after

    tasked = add(fleet.start, fleet.block(fleet.start, [fleet.sign(0, fleet.proposal())]))
    votes = [fleet.sign(member, join(fleet), tasked) for member in (0, 1, 2)]
    joined = add(tasked, fleet.block(tasked, votes))
    by_joiner = add(joined, fleet.block(joined, miner=JOINER))
    assert chain.tip.hash == by_joiner.tip_hash
    assert fleet.address(JOINER) in chain.tip_state.members

    learnt = add(tasked, fleet.model_block(tasked, [0, 1, 2]))
    assert chain.tip.hash == learnt.tip_hash
    assert fleet.address(JOINER) not in chain.tip_state.members
    assert fleet.address(JOINER) in chain.known_members  # it may still serve what it has
    with pytest.raises(refused.UnknownMiner):
        checked(fleet, learnt, fleet.block(learnt, miner=JOINER))
    again = Blockchain(fleet.genesis, chain.store)
    assert again.tip_state == chain.tip_state
    assert again.known_members == chain.known_members


@pytest.mark.parametrize("key", UNSOUND_KEYS.values(), ids=UNSOUND_KEYS)
def test_nobody_joins_with_a_key_under_which_libraries_differ(fleet: Any, key: bytes) -> None:
    vote = fleet.sign(0, MembershipVote("join", "odd", key))
    refuse(fleet, fleet.start, vote, refused.InvalidTransaction, "its key is no sound Ed25519 key")


def test_nobody_joins_a_full_consortium(fleet: Any) -> None:
    members = {f"{number:040x}": Member(f"m{number}", bytes(32)) for number in range(MAX_MEMBERS)}
    vote = MembershipVote("join", "bus", fleet.keys[0].public_key)
    with pytest.raises(refused.InvalidTransaction, match=f"there are {MAX_MEMBERS} members"):
        check_vote(replace(fleet.start, members=members), fleet.address(1), vote)
