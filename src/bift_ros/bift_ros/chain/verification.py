"""Reading a stored chain from its lowest block on, and checking it, PoFL included."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from bift_ros.chain.branch_states import STATE_SPACING
from bift_ros.chain.certificates import check_certificate
from bift_ros.chain.exceptions import StoreError
from bift_ros.chain.interface import KEPT_MODELS, Snapshot, Store
from bift_ros.chain.keyring import Keyring
from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.consensus.blocks import Block, ModelInfo
from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.group_key import GroupKey
from bift_ros.consensus.model_check import Encrypt, Fetch, as_it_is, check_model
from bift_ros.consensus.payloads import MembershipVote
from bift_ros.consensus.state import State, initial_state
from bift_ros.consensus.state_bytes import parse_state
from bift_ros.consensus.transition import state_transition
from bift_ros.storage.interface import NotFound, StorageError
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
    since: int = 0
    """The height of what the verified blocks stand on: 0 unless older ones are gone."""
    unchecked: int = 0
    """Model blocks before those of `models` whose files are gone, so that only PoFL went unchecked.
    """
    final: int = 0
    """The height of the last snapshot whose certificate and state hold."""


def blocks_of(store: Store) -> Iterator[Block]:
    """Give every block of the chain that is kept, up to the tip."""
    height = store.base.height
    while blocks := store.canonical(height + 1, _BATCH):
        yield from blocks
        height += len(blocks)


def lowest_state(genesis: Genesis, store: Store) -> State:
    """Give the state that the lowest blocks stand on. Raises StoreError or MalformedState."""
    base = store.base
    if base.hash == genesis.hash:
        return initial_state(genesis)
    data = store.state(base.hash)
    if data is None:
        raise StoreError(f"the state after block {base.height}, the lowest, is gone")
    return parse_state(data, genesis)


def states(state: State, genesis: Genesis, blocks: Iterable[Block]) -> Iterator[State]:
    """Give the state after each block, by every rule but PoFL; raises InvalidBlock."""
    for block in blocks:
        state = state_transition(state, genesis, block, block.header.timestamp)
        yield state


def replay(genesis: Genesis, store: Store) -> State:
    """Give the state after the tip, from the last one stored. Raises ChainError."""
    tip = store.block(store.tip)
    height = 0 if tip is None else tip.header.height // STATE_SPACING * STATE_SPACING
    for block in store.canonical(height, 1) if height else ():
        data = store.state(block.hash)
        if block.header.height == height and data is not None:
            return _last(parse_state(data, genesis), genesis, store.canonical(height + 1, _BATCH))
    return _last(lowest_state(genesis, store), genesis, blocks_of(store))


def _last(state: State, genesis: Genesis, blocks: Iterable[Block]) -> State:
    last = state
    for last in states(state, genesis, blocks):  # noqa: B007
        pass
    return last


def names_on(
    genesis: Genesis, blocks: Iterable[Block], known: Iterable[Member] = ()
) -> dict[str, str]:
    """Address → name, of everybody who is, was or is proposed as a member on a chain.

    `known` are the members before its first block.
    """
    payloads = (tx.payload for block in blocks for tx in block.body.transactions)
    voted = [Member(p.name, p.public_key) for p in payloads if isinstance(p, MembershipVote)]
    return {member.address: member.name for member in (*known, *voted, *genesis.members)}


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
    """Replay the chain of `store` as far as it is kept, and recompute models from their updates.

    `fetch` gives the files, such as a storage's `get`. One that is missing is a problem where a
    vehicle keeps it: that of the last model blocks. `keyring` is a member's, where the fleet's
    files are encrypted. Raises StoreError.
    """
    encrypt: Encrypt = as_it_is
    if genesis.policy.encrypt_models:
        if keyring is None:
            problem = "the models are encrypted: it takes a member's key"
            return Verification(initial_state(genesis), (), 0, problem)
        keyring.hint(keys_on(blocks_of(store))[::-1])  # the last one leads to all before it
        fetch, encrypt = _decrypting(keyring, fetch), keyring.encrypt
    run = _Run(genesis, lowest_state(genesis, store), {s.hash: s for s in store.snapshots()})
    recent = _recent_models(store)
    for block in blocks_of(store):
        try:
            after = state_transition(run.state, genesis, block, block.header.timestamp)
            if block.body.model_info is not None:
                if keyring is not None:
                    keyring.learn(run.state)
                try:
                    check_model(run.state, genesis, block, fetch, encrypt)
                    run.models.append(block.body.model_info)
                except NotFound:
                    if block.hash in recent:
                        raise
                    run.unchecked += len(run.models) + 1
                    run.models.clear()
                run.paid += genesis.policy.reward * len(block.body.model_info.contributors)
            run.pass_to(after)
        except (ChainError, StorageError) as error:
            return run.verification(f"block {block.header.height}: {error}")
        on_block()
    return run.verification(run.problem(store.tip))


class _Run:
    """How far a verification has come."""

    def __init__(self, genesis: Genesis, base: State, snapshots: Mapping[bytes, Snapshot]) -> None:
        self._genesis, self._base, self._snapshots = genesis, base, snapshots
        self.state = base
        self.models: list[ModelInfo] = []
        self.unchecked = self.paid = self._final = 0
        self.pass_to(base)

    def pass_to(self, state: State) -> None:
        """Go on to a block's state; where it has a snapshot, this must hold. Raises ChainError."""
        self.state = state
        snapshot = self._snapshots.get(state.tip_hash)
        if snapshot is not None:
            check_certificate(snapshot, state, self._genesis, [state.members])
            self._final = state.height

    def problem(self, tip: bytes) -> str | None:
        """What is wrong once all blocks have passed."""
        owned, before = sum(self.state.balances.values()), sum(self._base.balances.values())
        if owned != before + self.paid:
            return f"members own {owned} in all, but {before + self.paid} was paid in rewards"
        if self.state.tip_hash != tip:
            return f"the chain ends at {self.state.tip_hash.hex()[:16]}…, not at the stored tip"
        return None

    def verification(self, problem: str | None) -> Verification:
        """The outcome."""
        models, since = tuple(self.models), self._base.height
        return Verification(
            self.state, models, self.paid, problem, since, self.unchecked, self._final
        )


def _recent_models(store: Store) -> set[bytes]:
    """Name the last model blocks, whose files are kept."""
    names: deque[bytes] = deque(maxlen=KEPT_MODELS)
    height = store.base.height
    while headers := store.canonical_headers(height + 1, _BATCH):
        names.extend(h.header.hash for h in headers if h.header.model_flag)
        height += len(headers)
    return set(names)
