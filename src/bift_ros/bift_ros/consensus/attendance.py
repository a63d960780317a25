"""Whom an iteration waits for: the fleet's patience with each member, by what is on the chain.

An iteration waits in vain for a member that does not commit, or does not show its update, in time.
It does so twice, and then once more each `PATIENCE` iterations, however the member spreads its
misses. Nothing else follows from them: what the member contributes in time counts as ever.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bift_ros.consensus.state import State

PATIENCE = 64
"""After so many iterations one that waited in vain is forgotten."""


def absentees(state: State) -> frozenset[str]:
    """Give the addresses of the members that nobody waits for."""
    return frozenset(address for address, left in state.missed.items() if left > PATIENCE)


def after_iteration(state: State, present: Collection[str]) -> Mapping[str, int]:
    """Give `missed` after an iteration whose block holds the updates of the members `present`."""
    if not state.missed and len(present) == len(state.members):
        return state.missed
    missed = {}
    for address in state.members:
        before = state.missed.get(address, 0)
        in_vain = address not in present and before <= PATIENCE
        left = max(before - 1, 0) + PATIENCE * in_vain
        if left:
            missed[address] = left
    return missed
