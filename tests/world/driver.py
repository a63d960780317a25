"""One peer driven by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.state import State
from bift_ros.consensus.transactions import Transaction
from bift_ros.peer.clock import Time
from bift_ros.peer.config import PeerConfig
from bift_ros.peer.effects import Effect, Fetch, Put
from bift_ros.peer.events import (
    BlockReceived,
    Event,
    FetchFailed,
    FileFetched,
    Tick,
    TransactionReceived,
)
from bift_ros.peer.machine import Peer
from bift_ros.simulation.consortium import START_MS
from world.consortium import DEFAULTS, Consortium


class PeerDriver:
    """One peer driven by hand. It fetches from the consortium's files, except `hidden` CIDs."""

    def __init__(
        self,
        world: Consortium,
        member: int = 0,
        config: PeerConfig = DEFAULTS,
        chain: Blockchain | None = None,
        now: int = START_MS + 1_000,
    ) -> None:
        self.world = world
        self.now = now
        self.set_by = 0
        """How far ahead the wall clock has been set."""
        self.hidden: set[str] = set()
        self.log: list[tuple[int, Effect]] = []
        self.chain = chain or Blockchain(world.genesis, ChainStore(":memory:", world.genesis))
        self.peer = Peer(world.keys[member], world.genesis, self.chain, config)
        self._record(self.peer.start(self.time))

    @property
    def time(self) -> Time:
        return Time(self.now + self.set_by, self.now)

    @property
    def state(self) -> State:
        return self.peer.state

    def send(self, *events: Event) -> list[Effect]:
        """Let the peer take the events, and fetches answer at once; the effects of all that."""
        before = len(self.log)
        waiting = list(events)
        while waiting:
            effects = self.peer.handle(waiting.pop(0), self.time)
            self._record(effects)
            for effect in effects:
                if isinstance(effect, Put):
                    self.world.files[effect.cid] = effect.data
                elif isinstance(effect, Fetch):
                    waiting.append(self._fetched(effect))
        return [effect for _, effect in self.log[before:]]

    def block(self, *blocks: Block) -> list[Effect]:
        return self.send(*(BlockReceived(block) for block in blocks))

    def transaction(self, *transactions: Transaction) -> list[Effect]:
        return self.send(*(TransactionReceived(tx) for tx in transactions))

    def wait(self, ms: int, step: int = 250) -> list[Effect]:
        """Let virtual time pass in ticks; the effects meanwhile."""
        before = len(self.log)
        end = self.now + ms
        while self.now < end:
            self.now = min(end, self.now + step)
            self.send(Tick())
        return [effect for _, effect in self.log[before:]]

    def _fetched(self, wanted: Fetch) -> Event:
        cid = wanted.cid
        if len(self.world.files.get(cid, b"")) > wanted.largest:
            return FetchFailed(cid, "it is larger", final=True)
        if cid in self.world.files and cid not in self.hidden:
            return FileFetched(cid, self.world.files[cid])
        return FetchFailed(cid, "nobody has it")

    def _record(self, effects: Iterable[Effect]) -> None:
        self.log.extend((self.now, effect) for effect in effects)


def of(kind: type, effects: Iterable[Effect]) -> list[Any]:
    """The effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]
