"""Reading a stored chain from its first block on, and checking it, PoFL included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from bift_ros.chain.interface import Store
from bift_ros.chain.keyring import Keyring
from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.consensus.blocks import Block, ModelInfo
from bift_ros.consensus.exceptions import InvalidBlock
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.model_check import Encrypt, Fetch, as_it_is, check_model
from bift_ros.consensus.payloads import MembershipVote
from bift_ros.consensus.state import State, initial_state
from bift_ros.consensus.transition import state_transition
from bift_ros.storage.interface import StorageError
from bift_ros.storage.stored_files import StoredFiles

_BATCH = 64


@dataclass(frozen=True)
class Verification:
    """How far a chain holds."""

    state: State
    """After the last block that passed."""
    models: tuple[ModelInfo, ...]
    """What the blocks brought whose PoFL was recomputed."""
    rewards_paid: int
    """What they paid in all."""
    problem: str | None
    """What is wrong with the next block or the balances; None where all is well."""


def blocks_of(store: Store) -> Iterator[Block]:
    """Give every block of the chain, from block 1 to the tip."""
    height = 0
    while blocks := store.canonical(height + 1, _BATCH):
        yield from blocks
        height += len(blocks)


def states(genesis: Genesis, blocks: Iterable[Block]) -> Iterator[State]:
    """Give the state after each block of a chain, by every rule but PoFL; raises InvalidBlock."""
    state = initial_state(genesis)
    for block in blocks:
        state = state_transition(state, genesis, block, block.header.timestamp)
        yield state


def replay(genesis: Genesis, store: Store) -> State:
    """Give the state after the tip, by every rule but PoFL; raises InvalidBlock."""
    state = initial_state(genesis)
    for state in states(genesis, blocks_of(store)):  # noqa: B007
        pass
    return state


def names_on(genesis: Genesis, blocks: Iterable[Block]) -> dict[str, str]:
    """Address → name, of everybody who is, was or is proposed as a member on a chain."""
    payloads = (tx.payload for block in blocks for tx in block.body.transactions)
    voted = [Member(p.name, p.public_key) for p in payloads if isinstance(p, MembershipVote)]
    return {member.address: member.name for member in (*voted, *genesis.members)}


def keys_on(blocks: Iterable[Block]) -> list[GroupKey]:
    """Every key for model files that a chain gives, in order."""
    payloads = (tx.payload for block in blocks for tx in block.body.transactions)
    return [payload for payload in payloads if isinstance(payload, GroupKey)]


def _decrypting(keyring: Keyring, fetch: Fetch) -> Fetch:
    return lambda cid: keyring.decrypt(fetch(cid))


def verify_stored(
    folders: VehicleFolders,
    genesis: Genesis,
    keyring: Keyring | None = None,
    on_block: Callable[[], object] = lambda: None,
) -> Verification:
    """As `verify_chain`, of what a vehicle keeps on disk. Raises ChainError."""
    files = StoredFiles(folders.storage, folders.kubo)
    with closing(ChainStore(folders.chain, genesis, read_only=True)) as store:
        return verify_chain(genesis, store, files.get, on_block, keyring)


def verify_chain(
    genesis: Genesis,
    store: Store,
    fetch: Fetch,
    on_block: Callable[[], object] = lambda: None,
    keyring: Keyring | None = None,
) -> Verification:
    """Replay the canonical chain of `store` and recompute every model from its updates.

    `fetch` gives the files, such as a storage's `get`; a missing one is a problem, not an error.
    `keyring` is a member's, where the fleet's files are encrypted.
    """
    encrypt: Encrypt = as_it_is
    state, paid = initial_state(genesis), 0
    models: list[ModelInfo] = []
    if genesis.policy.encrypt_models:
        if keyring is None:
            return Verification(state, (), 0, "the models are encrypted: it takes a member's key")
        keyring.hint(keys_on(blocks_of(store))[::-1])  # the last one leads to all before it
        fetch, encrypt = _decrypting(keyring, fetch), keyring.encrypt
    for block in blocks_of(store):
        try:
            after = state_transition(state, genesis, block, block.header.timestamp)
            if block.body.model_info is not None:
                if keyring is not None:
                    keyring.learn(state)
                check_model(state, genesis, block, fetch, encrypt)
                models.append(block.body.model_info)
                paid += genesis.policy.reward * len(block.body.model_info.contributors)
        except (InvalidBlock, StorageError) as error:
            return Verification(state, tuple(models), paid, f"block {block.header.height}: {error}")
        state = after
        on_block()
    owned = sum(state.balances.values())
    problem = None
    if owned != paid:
        problem = f"members own {owned} in all, but {paid} was paid in rewards"
    elif state.tip_hash != store.tip:
        problem = f"the chain ends at {state.tip_hash.hex()[:16]}…, not at the stored tip"
    return Verification(state, tuple(models), paid, problem)
