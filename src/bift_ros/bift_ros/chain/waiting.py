"""What a state says of a transaction that waits: it fits now, later, or never."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from bift_ros.consensus.account_budget import check_budget
from bift_ros.consensus.exceptions import InsufficientBalance, InvalidTransaction, NotYetValid
from bift_ros.consensus.payloads import Learning
from bift_ros.consensus.state import State
from bift_ros.consensus.transaction_rules import apply_transaction, check_payload, check_sequence
from bift_ros.consensus.transactions import Transaction


def learns_alike(a: State | None, b: State) -> bool:
    """Whether the same commits and updates are valid: blocks without learning change nothing."""
    return a is not None and a.task is b.task and a.members is b.members


def obstacle(state: State, tx: Transaction) -> InvalidTransaction | None:
    """Give the reason why `tx` can't become valid on top of `state`, if there is one.

    More blocks, or an earlier transaction, may bring what is missing.
    """
    try:
        with suppress(NotYetValid):
            check_sequence(state, tx)
        with suppress(NotYetValid, InsufficientBalance):
            check_payload(state, tx)
    except InvalidTransaction as error:
        return error
    return None


def check_affordable(state: State, tx: Transaction, queue: Mapping[int, Transaction]) -> None:
    """Refuse what can't be paid after all that its sender's `queue` holds: InsufficientBalance.

    It counts on arrival. What was affordable once waits: a reorganisation may take stake away and
    bring it back, and were the number free again, all that follows it would wait for good.
    """
    if isinstance(tx.payload, Learning):
        return
    while state.next_sequence(tx.sender) < tx.sequence:
        earlier = queue.get(state.next_sequence(tx.sender))
        if earlier is None or not fits(state, earlier):
            return  # what comes before it may bring what is missing
        state = apply_transaction(state, earlier)
    with suppress(NotYetValid):
        check_payload(state, tx)


def within_budget(state: State, tx: Transaction) -> bool:
    """Whether an account has not said too much lately for `tx` to come next on top of `state`."""
    try:
        check_budget(state, tx)
    except NotYetValid:
        return False
    return True


def fits(state: State, tx: Transaction) -> bool:
    """Whether `tx` may come next on top of `state`, an account's budget aside."""
    try:
        check_sequence(state, tx)
        check_payload(state, tx)
    except InvalidTransaction:
        return False
    return True
