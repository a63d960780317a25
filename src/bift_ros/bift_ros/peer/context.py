"""What the parts of a peer share: identity, chain, mempool, files, the clock and the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeVar

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.encryption import OVERHEAD, EncryptionError, KeyUnavailable
from bift_ros.chain.keyring import Keyring
from bift_ros.chain.mempool import Mempool
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.model_check import ComputedModel, as_it_is, compute_model
from bift_ros.consensus.payloads import ModelUpdate
from bift_ros.consensus.state import State, Task, changed
from bift_ros.consensus.transactions import Transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.peer.clock import Clock
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Effect, Refused
from bift_ros.peer.files import Fetches, FileCache
from bift_ros.peer.holdings import Holdings
from bift_ros.peer.store_writes import StoreWrites
from bift_ros.pofl.codec import UPDATE_EXPONENT, ModelSpec
from bift_ros.pofl.files import MAX_MODEL_BYTES, ModelFileError, parse_model, update_bytes

_MAXIMUM_REFUSED = 4096
_Result = TypeVar("_Result")


class Context:
    """State shared by the parts of one peer. The clock is set anew before every event."""

    def __init__(
        self,
        key: KeyPair,
        genesis: Genesis,
        chain: Blockchain,
        config: PeerConfig,
        provider: str,
    ) -> None:
        self.key = key
        self.genesis = genesis
        self.chain = chain
        self.config = config
        self.provider = provider
        """Where this vehicle serves its files."""
        self.keyring = Keyring(key, genesis.hash) if genesis.policy.encrypt_models else None
        """What opens the fleet's model files, where they are encrypted."""
        self.locked_out = False
        """Whether a file has come whose key is not here."""
        self.mempool = Mempool()
        self.files = FileCache(config.file_cache_bytes)
        self.fetches = Fetches(config.fetch_retry_ms)
        self.holdings = Holdings()
        self.providers: dict[str, str] = {}
        """Each member's gateway by the member's address, as the member itself has signed it."""
        self._layout: tuple[str, ModelSpec | None] | None = None
        """The newest layout asked for, with its model's CID."""
        self.clock = Clock(genesis.policy.max_clock_skew_ms)
        self._writes = StoreWrites(config.store_retry_ms, self._write_failed)
        self._failures = 0
        self._effects: list[Effect] = []
        self._refused: dict[tuple[str, str], None] = {}
        self._computed: tuple[tuple[bytes, frozenset[bytes]], ComputedModel] | None = None

    @property
    def now(self) -> int:
        """Milliseconds for timers: they only go forward."""
        return self.clock.now

    @property
    def stamp(self) -> int:
        """Milliseconds since the Unix epoch for what this vehicle says now."""
        return self.clock.stamp(self.chain.tip_state)

    @property
    def latest(self) -> int:
        """The latest that it may be, to judge others' stamps by, and this vehicle's own."""
        return max(self.clock.latest, self.stamp)

    @property
    def state(self) -> State:
        """The state after the tip, as it is for a transaction that comes now.

        Time matters to two rules only: whether a task that nobody can begin may be replaced, and
        how much an account may say.
        """
        state = self.chain.tip_state
        begun = state.task is None or state.task.last is not None
        if begun and max(state.full_at.values(), default=0) <= state.timestamp:
            return state
        stamp = self.stamp
        if stamp <= state.timestamp:
            return state
        return changed(state, timestamp=stamp)

    @property
    def members(self) -> Mapping[str, Member]:
        """Who is a member after the tip, by address."""
        return self.chain.tip_state.members

    def emit(self, effect: Effect | None) -> None:
        """Have an effect carried out once the event is dealt with."""
        if effect is not None:
            self._effects.append(effect)

    def drain(self) -> list[Effect]:
        """The effects since the last call."""
        if not self._effects:
            return []
        effects, self._effects = self._effects, []
        return effects

    def refuse(self, what: str, key: str, sender: str, reason: str) -> None:
        """Report a refusal, once for each `key` (a hash or CID), with bounded memory."""
        if (what, key) in self._refused:
            return
        self._refused[(what, key)] = None
        if len(self._refused) > _MAXIMUM_REFUSED:
            del self._refused[next(iter(self._refused))]
        self.emit(Refused(what, sender, reason))

    @property
    def store_fails(self) -> bool:
        """Whether the last write to the chain's store failed."""
        return self._writes.failing

    @property
    def store_paused(self) -> bool:
        """Whether it failed just now, and is not to be written to yet."""
        return self._writes.pause(self.now)

    def write(self, what: str, write: Callable[[], _Result]) -> _Result | None:
        """Write to the chain's store and give what `write` gives; None, and `store_fails`, where it
        failed: then it is to be tried again.
        """
        return self._writes.write(what, write, self.now)

    def write_note(self, name: str, value: bytes) -> bool:
        """Keep a note over a restart; whether it is done."""
        self.write(f"the note {name!r}", lambda: self.chain.store.set_note(name, value))
        return not self.store_fails

    def _write_failed(self, reason: str) -> None:
        self._failures += 1
        self.refuse("store", str(self._failures), self.key.address, reason)

    def need_model(self, task: Task) -> bool:
        """Ask for a task's newest global model unless it is in memory; whether it is missing."""
        return self._need(task.global_cid, MAX_MODEL_BYTES, task.proposer)

    def need_update(self, task: Task, update: Transaction, *holders: str) -> None:
        """Ask for an update's file unless it is in memory, or its base model is missing.

        Its sender is asked first, then the members `holders`, by address, then others.
        """
        spec, payload = self.layout(task), update.payload
        if spec is not None and isinstance(payload, ModelUpdate):
            largest = update_bytes(spec, UPDATE_EXPONENT)
            self._need(payload.cid, largest, update.sender, *holders)

    def layout(self, task: Task) -> ModelSpec | None:
        """The layout of a task's newest model; None where that is missing, or malformed."""
        cid = task.global_cid
        if self._layout is None or self._layout[0] != cid:
            if cid not in self.files:
                return None
            try:
                self._layout = (cid, parse_model(self.files[cid])[0])
            except ModelFileError:
                self._layout = (cid, None)
        return self._layout[1]

    def _need(self, cid: str, largest: int, *holders: str) -> bool:
        """Ask for a file, `holders[0]`'s, unless it is in memory; whether it is missing."""
        if cid in self.files:
            return False
        if self.keyring is not None:
            largest += OVERHEAD
        fetch = self.fetches.want(cid, self.gateways(holders), largest, self.now)
        if fetch is not None:
            self.holdings.fetched(cid, holders[0], fetch.largest)
            self.emit(fetch)
        return True

    def gateways(self, first: Sequence[str]) -> Iterator[str]:
        """Where members serve files: those of `first`, which may come again, then all others'."""
        members, providers = self.members, self.providers
        for address in chain(first, providers):
            if address in members and address in providers:
                yield providers[address]

    def can_write(self, state: State) -> bool:
        """Whether a model's file can be made after `state`: encrypted, its key must be here."""
        return self.keyring is None or self.keyring.in_force(state) is not None

    def encrypt(self, state: State, data: bytes) -> bytes:
        """Give the file of a model or update after `state`; raises KeyUnavailable."""
        keyring = self.keyring
        return as_it_is(state, data) if keyring is None else keyring.encrypt(state, data)

    def decrypt(self, file: bytes) -> bytes:
        """Give what is in a model's file; raises EncryptionError or KeyUnavailable."""
        if self.keyring is None:
            return file
        self.keyring.learn(self.chain.tip_state)
        return self.keyring.decrypt(file)

    def arrived(self, cid: str, file: bytes) -> bool:
        """Keep what is in a fetched file; False where its key is not here, or not yet.

        What no member's vehicle writes counts as an empty file, which is a malformed one.
        """
        try:
            data = self.decrypt(file)
        except KeyUnavailable:
            self.locked_out = True
            return False
        except EncryptionError as error:
            self.refuse("file", cid, "", f"file {cid}: {error}")
            data = b""
        self.holdings.arrived(cid, len(file))
        self.files.add(cid, data)
        return True

    def compute(self, state: State, transactions: Sequence[Transaction]) -> ComputedModel:
        """Run PoFL on top of `state`, or give the last result again where it was for the same.

        A miner so aggregates once for its own block, and for another's with the same updates.
        Raises what `compute_model` raises.
        """
        updates = frozenset(t.hash for t in transactions if isinstance(t.payload, ModelUpdate))
        key = (state.tip_hash, updates)
        if self._computed is None or self._computed[0] != key:
            made = compute_model(
                state, self.genesis, transactions, self.files.__getitem__, self.encrypt
            )
            self._computed = (key, made)
        return self._computed[1]
