"""Whether the certificate of a snapshot proves it: a quorum of precommits for block and state."""

from __future__ import annotations

from collections.abc import Sequence

from bift_ros.chain.interface import Snapshot
from bift_ros.consensus.exceptions import BadQuorum
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.quorums import Members, Quorum, check_quorum
from bift_ros.consensus.state import State
from bift_ros.consensus.state_bytes import state_digest
from bift_ros.consensus.votes import Stage


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
