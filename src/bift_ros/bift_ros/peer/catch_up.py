"""Getting blocks that others have and this vehicle lacks."""

from __future__ import annotations

from dataclasses import dataclass

from bift_ros.peer.context import Context
from bift_ros.peer.effects import RequestBlocks
from bift_ros.peer.events import TipReceived
from bift_ros.peer.intake import Intake

_OVERLAP = 8
"""Blocks below the tip that are asked for again, to bridge a short fork; doubled in vain."""


@dataclass(frozen=True)
class _Ahead:
    tip: TipReceived
    since: int


class CatchUp:
    """Asks one vehicle at a time, and another one after every answer that did not help."""

    def __init__(self, context: Context, intake: Intake) -> None:
        self._context, self._intake = context, intake
        self._ahead: dict[str, _Ahead] = {}
        self._asked: RequestBlocks | None = None
        self._asked_at = 0
        self._not_before = 0
        self._attempts = 0

    def tip_received(self, tip: TipReceived) -> None:
        """Another vehicle stands there."""
        if self._context.chain.has(tip.hash):
            self._ahead.pop(tip.peer, None)
        else:
            self._ahead[tip.peer] = _Ahead(tip, self._context.now)

    def tip_changed(self) -> None:
        """This vehicle stands elsewhere now: start over."""
        has = self._context.chain.has
        self._ahead = {p: a for p, a in self._ahead.items() if not has(a.tip.hash)}
        self._attempts = 0

    def answered(self, peer: str, count: int) -> None:
        """The vehicle that was asked has sent what it would."""
        if self._asked is None or self._asked.peer != peer:
            return
        self._asked = None
        self._attempts += 1
        if count == 0:
            self._not_before = self._context.now + self._context.config.fetch_retry_ms

    def advance(self) -> None:
        """Ask somebody where there is something to ask for."""
        context = self._context
        if self._asked is not None:
            if context.now - self._asked_at < context.config.request_timeout_ms:
                return
            self.answered(self._asked.peer, 0)
        if context.now < self._not_before:
            return
        peers = self._candidates()
        if not peers:
            return
        height = context.chain.tip_state.index
        overlap = _OVERLAP * 2 ** min(self._attempts // len(peers), 20)
        peer = peers[self._attempts % len(peers)]
        self._asked = RequestBlocks(peer, max(1, height + 1 - overlap))
        self._asked_at = context.now
        self._not_before = context.now + context.config.fetch_retry_ms
        context.emit(self._asked)

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
            if a.tip.learning_weight >= weight and context.now - a.since >= pause
        ]
        ahead.sort(key=lambda t: (-t.learning_weight, -t.index, t.peer))
        peers = [t.peer for t in ahead]
        miner = self._intake.orphans_miner()
        if miner is not None and miner != context.key.address:
            peers.append(miner)
        return list(dict.fromkeys(peers))
