"""The table of an iteration's phases, held beside the chain that the blocks make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bift_ros.consensus.payloads import ModelCommit, ModelUpdate
from bift_ros.peer.phases import DUTIES, TRANSITIONS, Phase, Trigger, phase_of
from world.consortium import Consortium


def test_every_phase_has_a_duty_and_is_reached() -> None:
    reached = {Phase.IDLE} | {to for row in TRANSITIONS.values() for to in row.values()}
    assert reached == set(Phase) == set(TRANSITIONS) == set(DUTIES)
    assert {trigger for row in TRANSITIONS.values() for trigger in row} == set(Trigger)


def test_blocks_lead_where_the_table_says() -> None:
    fleet = Consortium(4, mode="bift", update_wait_ms=500)
    policy = fleet.genesis.policy

    def phase(state, **seen) -> Phase:  # type: ignore[no-untyped-def]
        committed = state.task is not None and state.task.committed_at is not None
        return phase_of(state.task, policy, committed=committed, **seen)

    assert phase(fleet.start) is Phase.IDLE
    tasked = fleet.with_task(total_iter=2)
    assert phase(tasked) is TRANSITIONS[Phase.IDLE][Trigger.TASK] is Phase.COMMIT
    commits = [fleet.commit(member, tasked) for member in range(3)]
    committed = fleet.apply(tasked, fleet.block(tasked, commits))
    assert phase(committed) is TRANSITIONS[Phase.COMMIT][Trigger.COMMIT_BLOCK] is Phase.SETTLE
    assert phase(committed, settled=True) is Phase.REVEAL
    assert phase(committed, in_vain=True) is Phase.RETRY
    assert phase(committed, settled=True, in_vain=True) is Phase.RETRY
    more = fleet.block(committed, [fleet.commit(3, committed)], later=policy.commit_retry_ms)
    again = fleet.apply(committed, more)
    assert phase(again) is TRANSITIONS[Phase.RETRY][Trigger.COMMIT_BLOCK] is Phase.SETTLE
    ended = fleet.apply(again, fleet.model_block(again, range(4)))
    assert TRANSITIONS[Phase.REVEAL][Trigger.MODEL_BLOCK] is Phase.IDLE
    assert phase(ended) is TRANSITIONS[Phase.IDLE][Trigger.TASK]
    assert phase(replace(ended, task=None)) is Phase.IDLE


def test_without_commitments_updates_are_shown_at_once() -> None:
    fleet = Consortium(4)
    task = fleet.with_task().task
    assert phase_of(task, fleet.genesis.policy, committed=False) is Phase.REVEAL


def test_what_a_phase_does_not_list_can_not_happen_in_it() -> None:
    fleet = Consortium(4, mode="bift")
    task = fleet.with_task().task
    with pytest.raises(KeyError):
        phase_of(task, fleet.genesis.policy, committed=False, settled=True)


def test_a_member_says_what_miners_collect() -> None:
    for duty in DUTIES.values():
        assert duty.says in (None, duty.collects)
    assert {duty.collects for duty in DUTIES.values()} == {None, ModelCommit, ModelUpdate}
