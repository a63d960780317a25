"""Whom to ask for which block of a file that several vehicles have, or fetch at the same time.

Vehicles that fetch one file serve one another what they have got of it, so that whoever had it
first need not send it to each of them. As in BitTorrent, each wants the blocks in an order of its
own; what other fetching vehicles have is asked of them, and those that have the whole file are
asked for what nobody else is known to have (rarest first; Cohen 2003, "Incentives Build Robustness
in BitTorrent"). What a vehicle that is still fetching has, it says with each answer
(`byte_ranges.AVAILABLE`); now and then one that had nothing new is tried again.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from bift_ros.storage.provider import Piece, Provider

MAX_PER_PROVIDER = 3
"""Requests at a time at one provider, once it has proved fast."""
TRY_EVERY = 0.1
"""Seconds between two requests of which nobody knows whether they can be met."""
_RUNS = 64
"""Runs of blocks into which a long file is cut to be shuffled, each in its order."""

Refusals = Mapping[Piece, Mapping[Provider, float]]
"""For each piece, providers that are not to be asked for it before a moment."""


class PiecePicker:
    """Chooses among the pieces that one file lacks and the providers that it has."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self.providers = providers
        self.next_try = 0.0
        """`time.monotonic()` from which on something uncertain may be asked."""
        if len(providers) > 1:
            for provider in providers:
                provider.by_cid, provider.batch = False, 1

    def order(self, pieces: Sequence[Piece]) -> deque[Piece]:
        """The pieces in the order in which they are wanted: several vehicles want different ones
        first, for one another; of a single one ranges are asked as long as can be.
        """
        if len(self.providers) < 2:
            return deque(pieces)
        length = max(1, len(pieces) // _RUNS)
        starts = list(range(0, len(pieces), length))
        random.shuffle(starts)
        return deque(piece for start in starts for piece in pieces[start : start + length])

    def choose(
        self, pieces: Iterable[Piece], refusals: Refusals, now: float
    ) -> tuple[Piece, Provider] | None:
        """The first of the pieces that can be asked of somebody now, and of whom."""
        able = [provider for provider in self.providers if _is_able(provider, now)]
        if not able:
            return None
        wanted = list(pieces)
        for rule in (self._sure, self._try, self._any):
            for piece in wanted:
                refused = refusals[piece]
                free = [provider for provider in able if refused.get(provider, 0.0) <= now]
                chosen = rule(piece, free, now)
                if chosen is not None:
                    return piece, chosen
        return None

    def _sure(self, piece: Piece, free: Sequence[Provider], now: float) -> Provider | None:
        """A vehicle that has it and is fetching too; of what none of them has, one that has all."""
        if piece.offset is None:
            return _best(free)
        holders = [provider for provider in free if provider.holds(piece)]
        if not holders and not any(s.holds(piece) for s in self.providers if not s.gone):
            holders = [provider for provider in free if _has_all(provider)]
        return _best(holders)

    def _try(self, piece: Piece, free: Sequence[Provider], now: float) -> Provider | None:
        """One that may have got it since, or was not asked yet."""
        if now < self.next_try:
            return None
        unknown = [
            provider for provider in free if not provider.holds(piece) and not _has_all(provider)
        ]
        if not unknown:
            return None
        if any(_has_all(provider) for provider in self.providers):
            self.next_try = now + TRY_EVERY
        return random.choice(unknown)

    def _any(self, piece: Piece, free: Sequence[Provider], now: float) -> Provider | None:
        """One that has all, though others have it who are busy."""
        return _best([provider for provider in free if _has_all(provider)])


def _is_able(provider: Provider, now: float) -> bool:
    most = MAX_PER_PROVIDER if provider.served and provider.batch > 1 else 1
    return not provider.gone and provider.ready_at <= now and provider.in_flight < most


def _has_all(provider: Provider) -> bool:
    """Whether it seems to have the whole file."""
    return (
        provider.has is None and provider.served > 0 and not provider.misses and not provider.gone
    )


def _best(providers: Sequence[Provider]) -> Provider | None:
    return min(providers, key=lambda s: (s.in_flight, -s.batch), default=None)
