"""Whether the certificate of a snapshot proves it: a quorum of precommits for block and state."""

from __future__ import annotations

from collections.abc import Sequence

from bift_ros.chain.interface import Snapshot
from bift_ros.consensus.exceptions import BadQuorum, BadSignature
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.quorums import Members, Quorum, check_quorum, is_quorum
from bift_ros.consensus.state import State
from bift_ros.consensus.state_bytes import state_digest
from bift_ros.consensus.transactions import is_signed
from bift_ros.consensus.votes import Stage


def vouch_for(quorum: Quorum, genesis: Genesis, members: Members) -> None:
    """Refuse a quorum that so few of `members` have voted in that it may be made up.

    It says whether more is worth fetching: others, who joined later, may have voted in it too.
    Raises BadQuorum or BadSignature.
    """
    known = [vote for vote in quorum.votes if vote.sender in members]
    if not is_quorum([vote.sender for vote in known], [members]):
        raise BadQuorum(f"{len(known)} votes of known members are not more than two thirds")
    for vote in known:
        if not is_signed(vote, members[vote.sender].public_key, genesis.hash):
            raise BadSignature(f"the vote of {vote.sender} in a quorum is not signed by it")


def check_certificate(
    snapshot: Snapshot, state: State, genesis: Genesis, electorates: Sequence[Members]
) -> Quorum:
    """Refuse a certificate that is not for this block with this state after it; else give it.

    `electorates` are as in `check_quorum`. Raises a kind of ChainError.
    """
    quorum = Quorum.from_bytes(snapshot.certificate).among(electorates)
    said = quorum.statement
    if quorum.stage is not Stage.PRECOMMIT:
        raise BadQuorum("the certificate is of prevotes")
    if (said.hash, said.height) != (state.tip_hash, state.height):
        raise BadQuorum(f"the certificate is for block {said.height} {said.hash.hex()[:16]}…")
    if said.state_digest != state_digest(state):
        raise BadQuorum(f"the certificate is for another state after block {said.height}")
    check_quorum(quorum, genesis, electorates)
    return quorum
