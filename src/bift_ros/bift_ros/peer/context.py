"""What the parts of a peer share: identity, chain, mempool, files, the clock and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.genesis import Genesis, Member
from bift_ros.chain.mempool import Mempool
from bift_ros.chain.model_check import ComputedModel, compute_model
from bift_ros.chain.state import State, changed
from bift_ros.chain.transactions import ModelUpdate, Transaction
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
            made = compute_model(state, self.genesis, transactions, self.files.__getitem__)
            self._computed = (key, made)
        return self._computed[1]
