"""Getting blocks that others have and this vehicle lacks."""

from __future__ import annotations

from dataclasses import dataclass

from bift_ros.chain.blocks import Block
from bift_ros.peer.context import Context
from bift_ros.peer.effects import RequestBlocks
from bift_ros.peer.events import TipReceived
from bift_ros.peer.intake import Intake

_OVERLAP = 8
"""Blocks below the tip that are asked for again, to bridge a short fork; doubled in vain."""
_MAXIMUM_GOT = 256
_MAXIMUM_PAUSES = 16
"""A vehicle that did not help is asked again after 2, 4, … up to this many pauses."""


@dataclass(frozen=True)
class _Ahead:
    tip: TipReceived
    since: int


@dataclass(frozen=True)
class _Useless:
    """How a vehicle's last answers went."""

    times: int
    until: int
    """It is not asked again before."""


class CatchUp:
    """Asks one vehicle at a time: upwards as long as its answers help, else another one."""

    def __init__(self, context: Context, intake: Intake) -> None:
        self._context, self._intake = context, intake
        self._ahead: dict[str, _Ahead] = {}
        self._useless: dict[str, _Useless] = {}
        self._asked: RequestBlocks | None = None
        self._asked_at = 0
        self._got: dict[bytes, int] = {}
        """Blocks that came since the question, with their heights."""
        self._brought_new = False
        self._next: RequestBlocks | None = None
        """Where the last answer that helped went on."""

    def tip_received(self, tip: TipReceived) -> None:
        """Another vehicle stands there."""
        earlier = self._ahead.get(tip.peer)
        if self._lacks(tip.hash):
            since = self._context.now if earlier is None else earlier.since
            self._ahead[tip.peer] = _Ahead(tip, since)
        elif earlier is not None:
            del self._ahead[tip.peer]

    def tip_changed(self) -> None:
        """This vehicle stands elsewhere now."""
        self._ahead = {p: a for p, a in self._ahead.items() if self._lacks(a.tip.hash)}

    def block_received(self, block: Block) -> None:
        """A block came, maybe as the answer; to be called before the intake takes it."""
        if self._asked is not None and len(self._got) < _MAXIMUM_GOT:
            self._got[block.hash] = block.header.index
            self._brought_new |= self._lacks(block.hash)

    def answered(self, peer: str) -> None:
        """The vehicle that was asked has sent what it would, or its time is up."""
        asked = self._asked
        if asked is None or asked.peer != peer:
            return
        fitting = [height for name, height in self._got.items() if self._intake.holds(name)]
        reached = max(fitting, default=0)
        self._asked = self._next = None
        if reached >= asked.from_index:
            self._next = RequestBlocks(peer, reached + 1)
            if self._brought_new:
                self._useless.pop(peer, None)
        else:
            times = self._useless[peer].times + 1 if peer in self._useless else 1
            pause = self._context.config.fetch_retry_ms * min(2**times, _MAXIMUM_PAUSES)
            self._useless[peer] = _Useless(times, self._context.now + pause)

    def advance(self) -> None:
        """Ask somebody where there is something to ask for."""
        context = self._context
        if self._asked is not None:
            if context.now - self._asked_at < context.config.request_timeout_ms:
                return
            self.answered(self._asked.peer)
        peers = self._candidates()
        if not peers:
            self._next = None
            return
        if self._next is not None and self._next.peer in peers:
            self._ask(self._next)
            return
        peer = min(peers, key=self._times_useless)
        useless = self._useless.get(peer)
        if useless is None or context.now >= useless.until:
            overlap = _OVERLAP * 2 ** min(self._times_useless(peer), 20)
            height = context.chain.tip_state.index
            self._ask(RequestBlocks(peer, max(1, height + 1 - overlap)))

    def _ask(self, request: RequestBlocks) -> None:
        self._asked, self._asked_at, self._next = request, self._context.now, None
        self._got.clear()
        self._brought_new = False
        self._context.emit(request)

    def _times_useless(self, peer: str) -> int:
        useless = self._useless.get(peer)
        return useless.times if useless is not None else 0

    def _lacks(self, block_hash: bytes) -> bool:
        return not (self._intake.holds(block_hash) or self._intake.rejects(block_hash))

    def _candidates(self) -> list[str]:
        """Who may have what we lack, the most promising first.

        A block usually arrives just after its miner's tip: nobody is asked before a pause.
        """
        context = self._context
        pause = context.config.fetch_retry_ms
        weight = context.chain.tip_state.learning_weight
        ahead = [
            a.tip
            for a in self._ahead.values()
            if a.tip.learning_weight >= weight
            and context.now - a.since >= pause
            and self._lacks(a.tip.hash)
        ]
        ahead.sort(key=lambda t: (-t.learning_weight, -t.index, t.peer))
        peers = [t.peer for t in ahead]
        miner = self._intake.orphans_miner(pause)
        if miner is not None and miner != context.key.address:
            peers.append(miner)
        return list(dict.fromkeys(peers))
