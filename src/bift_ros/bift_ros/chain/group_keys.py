"""Which keys the fleet's model files have, by the chain: one or more for each membership.

Every change of members begins a new epoch, named by all changes up to it and not by a block: a key
so holds on every branch with the same members, and a reorganisation makes nothing unreadable. The
last key of the epoch is in force. A member may give one key in an epoch, so whoever found another's
key false can replace it, and liars run out of keys before honest members do.
"""

from __future__ import annotations

from bift_ros.chain.encoding import encode, sha256
from bift_ros.chain.exceptions import GroupKeysUnused, WrongGroupKey
from bift_ros.chain.group_key import GroupKey
from bift_ros.chain.state import KeyOfEpoch, State, changed
from bift_ros.identity.sealing import COPY_BYTES


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


def check_group_key(state: State, sender: str, key: GroupKey) -> None:
    """Refuse a key that is not the next one, for these members; no copy can be looked into.

    Raises GroupKeysUnused or WrongGroupKey.
    """
    if not state.policy.encrypt_models:
        raise GroupKeysUnused("this chain's model files are not encrypted")
    if key.epoch != state.epoch:
        raise WrongGroupKey("the key is for other members than there are now")
    if key.number != len(state.keys):
        raise WrongGroupKey(f"key {key.number}, but the chain has {len(state.keys)} before it")
    if len(key.copies) != COPY_BYTES * len(state.members):
        raise WrongGroupKey(
            f"{len(key.copies) // COPY_BYTES} copies of the key for {len(state.members)} members"
        )
    if has_given(state, sender):
        raise WrongGroupKey(f"{sender} has given these members a key already")
    if any(entry.key.ephemeral == key.ephemeral for entry in state.keys):
        raise WrongGroupKey("the chain has this key already")


def apply_group_key(state: State, sender: str, key: GroupKey) -> State:
    """Put a key in force that has passed `check_group_key`."""
    return changed(state, keys=(*state.keys, KeyOfEpoch(key, sender, recipients_of(state))))
