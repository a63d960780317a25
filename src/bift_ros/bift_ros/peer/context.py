"""What the parts of a peer share: identity, chain, mempool, files, the clock and the way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.genesis import Genesis
from bift_ros.chain.mempool import Mempool
from bift_ros.chain.transactions import Transaction
from bift_ros.identity.keys import KeyPair
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Effect, Refused
from bift_ros.peer.files import Fetches, FileCache


class Context:
    """State shared by the parts of one peer. `now` is set anew before every event."""

    def __init__(
        self, key: KeyPair, genesis: Genesis, chain: Blockchain, config: PeerConfig
    ) -> None:
        self.key = key
        self.genesis = genesis
        self.chain = chain
        self.config = config
        self.mempool = Mempool()
        self.files = FileCache(config.file_cache_bytes)
        self.fetches = Fetches(config.fetch_retry_ms)
        self.providers: dict[str, str] = {}
        """Each vehicle's gateway, by address."""
        self.now = 0
        self._effects: list[Effect] = []
        self._needed: set[str] = set()
        self._refused: dict[tuple[str, str], None] = {}

    def emit(self, effect: Effect | None) -> None:
        """Have an effect carried out once the event is dealt with."""
        if effect is not None:
            self._effects.append(effect)

    def drain(self) -> list[Effect]:
        """The effects since the last call; files that nothing needed meanwhile may go."""
        self.files.trim(self._needed)
        self._needed.clear()
        effects, self._effects = self._effects, []
        return effects

    def refuse(self, what: str, key: str, sender: str, reason: str) -> None:
        """Report a refusal, once for each `key` (a hash or CID), with bounded memory."""
        if (what, key) in self._refused:
            return
        self._refused[(what, key)] = None
        if len(self._refused) > 4096:
            del self._refused[next(iter(self._refused))]
        self.emit(Refused(what, sender, reason))

    def need(self, cids: Iterable[str], providers: Sequence[str]) -> set[str]:
        """Keep these files in memory, ask for those that are not; return the latter's CIDs."""
        cids = set(cids)
        self._needed |= cids
        missing = {cid for cid in cids if cid not in self.files}
        for cid in sorted(missing):
            self.emit(self.fetches.want(cid, (*providers, *self.providers.values()), self.now))
        return missing

    def provider_of(self, transaction: Transaction) -> tuple[str, ...]:
        """Where the sender of a transaction serves its files."""
        url = self.providers.get(transaction.sender)
        return (url,) if url else ()
