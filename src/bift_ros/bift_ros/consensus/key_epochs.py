"""Which keys the fleet's model files have, by the chain: one or more for each membership.

Every change of members begins a new epoch, named by all changes up to it and not by a block: a key
so holds on every branch with the same members, whatever a reorganisation does. The last key of the
epoch is in force; files under the others stay readable. A member may give one key in an epoch, so
whoever found another's key false can replace it, and liars run out of keys before honest members.

The state keeps the keys of the present members and the newest before them: each leads back to
earlier ones, and whoever joins needs but those of the files that the fleet still has.
"""

from __future__ import annotations

from bift_ros.consensus.encoding import encode, sha256
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.state import KeyOfEpoch, State, changed
from bift_ros.consensus.transactions import Transaction
from bift_ros.identity.sealing import COPY_BYTES

MAX_EARLIER_KEYS = 64
"""Keys of earlier members that are kept, whole epochs: those of the last one always are."""


def next_epoch(epoch: bytes, action: str, public_key: bytes) -> bytes:
    """Give the epoch after a member has joined or left, 32 bytes."""
    return sha256(encode([epoch, action, public_key]))


def key_in_force(state: State) -> KeyOfEpoch | None:
    """Give the key of the members as they are in `state`; None where nobody has given one yet."""
    last = state.keys[-1] if state.keys else None
    return last if last is not None and last.key.epoch == state.epoch else None


def has_given(state: State, address: str) -> bool:
    """Tell whether a member has given the present members a key."""
    return any(e.maker == address and e.key.epoch == state.epoch for e in state.keys)


def recipients_of(state: State) -> tuple[bytes, ...]:
    """Give the members' Ed25519 keys in the order in which a key is sealed for them."""
    return tuple(state.members[address].public_key for address in sorted(state.members))


def is_for_members(state: State, sender: str, key: GroupKey) -> bool:
    """Tell whether the present members have a new key in this; no copy can be looked into."""
    return (
        key.epoch == state.epoch
        and len(key.copies) == COPY_BYTES * len(state.members)
        and not has_given(state, sender)
        and all(entry.key.ephemeral != key.ephemeral for entry in state.keys)
    )


def apply_group_key(state: State, transaction: Transaction, key: GroupKey) -> State:
    """Put the key that a transaction gives in force.

    One that is not for the present members changes nothing. It may have come too late. Were it
    refused, whatever its sender said after it would wait for the number in the account's order.
    """
    if not is_for_members(state, transaction.sender, key):
        return state
    entry = KeyOfEpoch(transaction, recipients_of(state))
    return changed(state, keys=(*_kept(state), entry))


def _kept(state: State) -> tuple[KeyOfEpoch, ...]:
    """Give the keys without those of the oldest epochs, where there are too many."""
    keys = state.keys
    earlier = [entry.key.epoch for entry in keys if entry.key.epoch != state.epoch]
    while len(earlier) > MAX_EARLIER_KEYS and earlier[0] != earlier[-1]:
        oldest = earlier.count(earlier[0])
        keys, earlier = keys[oldest:], earlier[oldest:]
    return keys
