"""The phases of an iteration: what takes it from one to the next, and what each is for.

Read as a table, like the state machine of h11. An iteration begins with the block that brings its
base model: the proposal's, or the last model block. What has happened since leads through
`TRANSITIONS` to where it stands; on another branch it so stands elsewhere at once. A trigger that
a phase does not list can't happen in it.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from bift_ros.consensus.genesis import Policy
from bift_ros.consensus.payloads import ModelCommit, ModelUpdate
from bift_ros.consensus.state import Task


class Phase(Enum):
    """Where an iteration stands."""

    IDLE = "no task is active"
    COMMIT = "members commit to their updates"
    SETTLE = "a commit block has closed the commits; everybody is to hear of it first"
    REVEAL = "members show their updates, and a model block may end the iteration"
    RETRY = "too few have shown theirs: another commit block may let others in"


class Trigger(Enum):
    """What takes an iteration to its next phase."""

    TASK = "a task is active whose updates are committed to"
    OPEN_TASK = "a task is active whose updates are shown at once"
    COMMIT_BLOCK = "the chain has the commitments"
    SETTLED = "`reveal_delay_ms` has passed since"
    IN_VAIN = "`commit_retry_ms` has passed since, and no update has come for `update_wait_ms`"
    MODEL_BLOCK = "the chain has the new model: the next iteration begins, if there is one"


TRANSITIONS: dict[Phase, dict[Trigger, Phase]] = {
    Phase.IDLE: {Trigger.TASK: Phase.COMMIT, Trigger.OPEN_TASK: Phase.REVEAL},
    Phase.COMMIT: {Trigger.COMMIT_BLOCK: Phase.SETTLE},
    Phase.SETTLE: {
        Trigger.SETTLED: Phase.REVEAL,
        Trigger.IN_VAIN: Phase.RETRY,
        Trigger.MODEL_BLOCK: Phase.IDLE,
    },
    Phase.REVEAL: {Trigger.IN_VAIN: Phase.RETRY, Trigger.MODEL_BLOCK: Phase.IDLE},
    Phase.RETRY: {Trigger.COMMIT_BLOCK: Phase.SETTLE, Trigger.MODEL_BLOCK: Phase.IDLE},
}


class Duty(NamedTuple):
    """What a phase asks for."""

    says: type[ModelCommit] | type[ModelUpdate] | None
    """What a member has to say."""
    collects: type[ModelCommit] | type[ModelUpdate] | None
    """What a miner gathers for its next block with learning."""


DUTIES = {
    Phase.IDLE: Duty(says=None, collects=None),
    Phase.COMMIT: Duty(says=ModelCommit, collects=ModelCommit),
    Phase.SETTLE: Duty(says=None, collects=ModelUpdate),
    Phase.REVEAL: Duty(says=ModelUpdate, collects=ModelUpdate),
    # Beside updates, a miner takes the commits of those who have not committed yet.
    Phase.RETRY: Duty(says=ModelUpdate, collects=ModelUpdate),
}


def phase_of(
    task: Task | None,
    policy: Policy,
    *,
    committed: bool,
    settled: bool = False,
    in_vain: bool = False,
) -> Phase:
    """Follow the triggers since the iteration began.

    Views differ: `committed` is to a miner whether the chain has commitments, to a member whether
    it has the member's own, since who has none is to commit still.
    """
    happened = []
    if task is not None:
        happened.append(Trigger.TASK if policy.commit_reveal else Trigger.OPEN_TASK)
        if committed:
            happened.append(Trigger.COMMIT_BLOCK)
        if settled:
            happened.append(Trigger.SETTLED)
        if in_vain:
            happened.append(Trigger.IN_VAIN)
    phase = Phase.IDLE
    for trigger in happened:
        phase = TRANSITIONS[phase][trigger]
    return phase
