"""How much an account may say: a token bucket on the chain's time, so that no chain can be flooded.

An account says `account_burst` transactions at once, and one more each `account_interval_ms`. The
state keeps when each bucket is full again, of those that are not.
"""

from __future__ import annotations

from collections.abc import Mapping

from bift_ros.consensus.exceptions import NotYetValid
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.key_epochs import is_for_members
from bift_ros.consensus.payloads import Learning
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import MAX_TRANSACTION_BYTES, Transaction


def check_budget(state: State, tx: Transaction) -> None:
    """Refuse an account's transaction that comes too soon after its others: NotYetValid."""
    policy = state.policy
    wait = (
        state.full_at.get(tx.sender, 0)
        - state.timestamp
        - (policy.account_burst - 1) * policy.account_interval_ms
    )
    if wait > 0 and _cost(state, tx):
        raise NotYetValid(f"{tx.sender} has said much lately and must wait {wait} ms")


def spend(state: State, tx: Transaction) -> Mapping[str, int]:
    """Give `full_at` after an account's transaction."""
    now = state.timestamp
    cost = _cost(state, tx) * state.policy.account_interval_ms
    if not cost:
        return state.full_at
    full_at = {address: time for address, time in state.full_at.items() if time > now}
    full_at[tx.sender] = full_at.get(tx.sender, now) + cost
    return full_at


def _cost(state: State, tx: Transaction) -> int:
    """How many tokens a transaction takes: it may leave the bucket in debt.

    A key that the members need takes none, since without one nobody learns; a member has one in an
    epoch. Any other counts by its size, which is up to 25 usual transactions'.
    """
    if isinstance(tx.payload, Learning):
        return 0  # one commit and one update an iteration
    if isinstance(tx.payload, GroupKey) and is_for_members(state, tx.sender, tx.payload):
        return 0
    return -(-len(tx.to_bytes()) // MAX_TRANSACTION_BYTES)
