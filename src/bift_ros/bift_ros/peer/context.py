"""What the parts of a peer share: identity, chain, mempool, files, the clock and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.encryption import EncryptionError, KeyUnavailable
from bift_ros.chain.keyring import Keyring
from bift_ros.chain.mempool import Mempool
from bift_ros.consensus.genesis import Genesis, Member
from bift_ros.consensus.model_check import ComputedModel, as_it_is, compute_model
from bift_ros.consensus.payloads import ModelUpdate
from bift_ros.consensus.state import State, changed
from bift_ros.consensus.transactions import Transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Effect, Refused
from bift_ros.peer.files import Fetches, FileCache

_MAXIMUM_REFUSED = 4096


class Context:
    """State shared by the parts of one peer. `now` is set anew before every event."""

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
        self.providers: dict[str, str] = {}
        """Each vehicle's gateway, by address."""
        self.now = 0
        self._effects: list[Effect] = []
        self._refused: dict[tuple[str, str], None] = {}
        self._computed: tuple[tuple[bytes, frozenset[bytes]], ComputedModel] | None = None

    @property
    def state(self) -> State:
        """The state after the tip, as it is for a transaction that comes now.

        Time matters to one rule only: whether a task that nobody can begin may be replaced.
        """
        state = self.chain.tip_state
        if state.task is None or state.task.history:
            return state
        if self.now <= state.timestamp:
            return state
        return changed(state, timestamp=self.now)

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

    def need(self, cids: Iterable[str], providers: Sequence[str] = ()) -> list[str]:
        """Ask for those of these files that are not in memory; return their CIDs, sorted."""
        missing = [cid for cid in cids if cid not in self.files]
        if len(missing) > 1:
            missing = sorted(set(missing))
        for cid in missing:
            self.emit(self.fetches.want(cid, providers, self.providers.values(), self.now))
        return missing

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
        self.files.add(cid, data)
        return True

    def provider_of(self, transaction: Transaction) -> tuple[str, ...]:
        """Where the sender of a transaction serves its files."""
        url = self.providers.get(transaction.sender)
        return (url,) if url else ()

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
