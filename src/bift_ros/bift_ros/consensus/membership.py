"""Who is in the consortium: members join and leave by a vote that the chain records.

Each member votes in a signed transaction. A change takes effect with the vote that brings it above
the policy's threshold, from the next transaction on. Who has left keeps its stake and history, and
may be voted in again; its key counts for nothing meanwhile, its files are listed no more, and its
undecided votes are dropped. Who was found to vote twice is out for good (see `double_votes`).
"""

from __future__ import annotations

from bift_ros.consensus.exceptions import InvalidTransaction
from bift_ros.consensus.genesis import MAX_MEMBERS, Member
from bift_ros.consensus.key_epochs import next_epoch
from bift_ros.consensus.payloads import MembershipVote
from bift_ros.consensus.sharing import with_list
from bift_ros.consensus.state import State, changed, changed_task
from bift_ros.identity.curve import is_sound

MAX_OPEN_VOTES = 8
"""Undecided votes that a member may have, so that ballots stay few."""
MAX_ACCOUNTS = 2**16
"""Who is or was a member: an account is for good."""


def check_vote(state: State, voter: str, vote: MembershipVote) -> None:
    """Refuse a vote that makes no sense in `state`; raises InvalidTransaction."""
    member = Member(vote.name, vote.public_key)
    present = state.members.get(member.address)
    if vote.action == "join":
        if present is not None:
            raise InvalidTransaction(
                f"{vote.name} joins, but its key is the member {present.name}'s"
            )
        if member.address in state.excluded:
            raise InvalidTransaction(f"{vote.name} joins, but its key's owner has voted twice")
        if any(other.name == vote.name for other in state.members.values()):
            raise InvalidTransaction(f"{vote.name} joins, but another member has this name")
        if not is_sound(vote.public_key):
            raise InvalidTransaction(f"{vote.name} joins, but its key is no sound Ed25519 key")
        if len(state.members) >= MAX_MEMBERS:
            raise InvalidTransaction(f"{vote.name} joins, but there are {MAX_MEMBERS} members")
        if member.address not in state.balances and len(state.balances) >= MAX_ACCOUNTS:
            raise InvalidTransaction(f"{vote.name} joins, but there are {MAX_ACCOUNTS} accounts")
    elif present != member:
        raise InvalidTransaction(f"{vote.name} leaves, but no member has this name and key")
    elif len(state.members) <= state.policy.minimum_updates:
        raise InvalidTransaction(
            f"{vote.name} leaves, but {state.policy.minimum_updates} members are the least that "
            "can make a global model"
        )
    if voter in state.ballots.get(vote, ()):
        raise InvalidTransaction(f"{voter} has voted for {vote.name} to {vote.action} already")
    if sum(voter in voters for voters in state.ballots.values()) >= MAX_OPEN_VOTES:
        raise InvalidTransaction(f"{voter} has {MAX_OPEN_VOTES} votes that are not decided")


def apply_vote(state: State, voter: str, vote: MembershipVote) -> State:
    """Count a vote that has passed `check_vote`, and make the change where it decides it."""
    voters = state.ballots.get(vote, frozenset()) | {voter}
    ballots = {**state.ballots, vote: voters}
    # No intersection: with keys that is a set, which compiled code refuses as no frozenset.
    standing = sum(voter in state.members for voter in voters)
    if standing <= state.policy.membership_threshold * len(state.members):
        return changed(state, ballots=ballots)
    del ballots[vote]
    member = Member(vote.name, vote.public_key)
    if vote.action == "leave":
        return without_member(changed(state, ballots=ballots), member, vote.action)
    return changed(
        state,
        epoch=next_epoch(state.epoch, vote.action, vote.public_key),
        members={**state.members, member.address: member},
        ballots=ballots,
        balances={member.address: 0, **state.balances},
        sequences={member.address: 0, **state.sequences},
    )


def without_member(state: State, member: Member, action: str) -> State:
    """Give `state` once a member is out; `action` says in the epoch's name how."""
    members = dict(state.members)
    del members[member.address]
    remaining = {
        vote: voters - {member.address}
        for vote, voters in state.ballots.items()
        if vote.public_key != member.public_key
    }
    task = state.task
    if task is not None and member.address in task.opponents:
        task = changed_task(task, opponents=task.opponents - {member.address})
    return changed(
        state,
        epoch=next_epoch(state.epoch, action, member.public_key),
        members=members,
        ballots={vote: voters for vote, voters in remaining.items() if voters},
        shares=with_list(state.shares, member.address, {}),
        task=task,
    )
