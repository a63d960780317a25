"""Evidence on the chain that a member voted twice: it is excluded at once, and its key for good."""

from __future__ import annotations

from bift_ros.consensus.exceptions import EncodingError, FieldError, InvalidTransaction, NotYetValid
from bift_ros.consensus.membership import without_member
from bift_ros.consensus.payloads import DoubleVote
from bift_ros.consensus.state import State, changed
from bift_ros.consensus.transactions import is_signed
from bift_ros.consensus.votes import Vote, is_double_vote


def double_vote(first: Vote, second: Vote) -> DoubleVote:
    """Put two votes of one member in the one form that they have as evidence."""
    return DoubleVote(*sorted((first.to_bytes(), second.to_bytes())))


def check_double_vote(state: State, evidence: DoubleVote) -> None:
    """Refuse what does not prove that a present member voted twice; raises InvalidTransaction."""
    member = state.members.get(evidence.accused)
    if member is None:
        if evidence.accused not in state.sequences:
            raise NotYetValid(f"{evidence.accused} has not joined on this branch")
        raise InvalidTransaction(f"{evidence.accused} is no member any more")
    try:
        first, second = Vote.from_bytes(evidence.first), Vote.from_bytes(evidence.second)
    except (EncodingError, FieldError) as error:
        raise InvalidTransaction(f"the evidence holds no votes: {error}") from error
    if not is_double_vote(first, second):
        raise InvalidTransaction(f"honest members cast both of these votes of {member.name}")
    for vote in (first, second):
        if not is_signed(vote, member.public_key, state.genesis_hash):
            raise InvalidTransaction(f"a vote held against {member.name} is not signed by it")


def apply_double_vote(state: State, evidence: DoubleVote) -> State:
    """Exclude the member that `check_double_vote` found guilty, however few are left."""
    member = state.members[evidence.accused]
    excluded = state.excluded | {member.address}
    return changed(without_member(state, member, "exclude"), excluded=excluded)
