"""Whom to ask for which block of a file that several vehicles have, or fetch at the same time.

Vehicles that fetch one file serve one another what they have got of it, so that whoever had it
first need not send it to each of them. As in BitTorrent, each wants the blocks in an order of its
own; what other fetching vehicles have is asked of them, and those that have the whole file are
asked for what nobody else is known to have (rarest first). What a vehicle that is still fetching
has, it says with each answer (`sources.AVAILABLE`); now and then one that had nothing new is tried
again.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bift_ros.storage.sources import Piece, Source

MAX_PER_SOURCE = 3
"""Requests at a time at one source, once it has proved fast."""
TRY_EVERY = 0.1
"""Seconds between two requests of which nobody knows whether they can be met."""
_RUNS = 64
"""Runs of blocks into which a long file is cut to be shuffled, each in its order."""

Refusals = Mapping[Piece, Mapping[Source, float]]
"""For each piece, sources that are not to be asked for it before a moment."""


class Swarm:
    """The providers of one file."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.next_try = 0.0
        """`time.monotonic()` from which on something uncertain may be asked."""
        if len(sources) > 1:
            for source in sources:
                source.by_cid, source.stretch = False, 1

    def order(self, pieces: Sequence[Piece]) -> deque[Piece]:
        """The pieces in the order in which they are wanted: several vehicles want different ones
        first, for one another; of a single one stretches are asked as long as can be.
        """
        if len(self.sources) < 2:
            return deque(pieces)
        length = max(1, len(pieces) // _RUNS)
        starts = list(range(0, len(pieces), length))
        random.shuffle(starts)
        return deque(piece for start in starts for piece in pieces[start : start + length])

    def choose(
        self, pieces: Iterable[Piece], refusals: Refusals, now: float
    ) -> tuple[Piece, Source] | None:
        """The first of the pieces that can be asked of somebody now, and of whom."""
        able = [source for source in self.sources if _is_able(source, now)]
        if not able:
            return None
        wanted = list(pieces)
        for rule in (self._sure, self._try, self._any):
            for piece in wanted:
                refused = refusals[piece]
                free = [source for source in able if refused.get(source, 0.0) <= now]
                chosen = rule(piece, free, now)
                if chosen is not None:
                    return piece, chosen
        return None

    def _sure(self, piece: Piece, free: Sequence[Source], now: float) -> Source | None:
        """A vehicle that has it and is fetching too; of what none of them has, one that has all."""
        if piece.offset is None:
            return _best(free)
        holders = [source for source in free if source.holds(piece)]
        if not holders and not any(s.holds(piece) for s in self.sources if not s.gone):
            holders = [source for source in free if _has_all(source)]
        return _best(holders)

    def _try(self, piece: Piece, free: Sequence[Source], now: float) -> Source | None:
        """One that may have got it since, or was not asked yet."""
        if now < self.next_try:
            return None
        unknown = [source for source in free if not source.holds(piece) and not _has_all(source)]
        if not unknown:
            return None
        if any(_has_all(source) for source in self.sources):
            self.next_try = now + TRY_EVERY
        return random.choice(unknown)

    def _any(self, piece: Piece, free: Sequence[Source], now: float) -> Source | None:
        """One that has all, though others have it who are busy."""
        return _best([source for source in free if _has_all(source)])


def _is_able(source: Source, now: float) -> bool:
    most = MAX_PER_SOURCE if source.served and source.stretch > 1 else 1
    return not source.gone and source.ready_at <= now and source.in_flight < most


def _has_all(source: Source) -> bool:
    """Whether it seems to have the whole file."""
    return source.has is None and source.served > 0 and not source.misses and not source.gone


def _best(sources: Sequence[Source]) -> Source | None:
    return min(sources, key=lambda s: (s.in_flight, -s.stretch), default=None)


def shares(pieces: Sequence[Piece], url: str, others: Sequence[str]) -> Iterator[list[Piece]]:
    """First this vehicle's own share of the pieces, then the others in any order.

    So vehicles that fetch a file at once first get different pieces of it from whoever has it, and
    the rest from one another. Every vehicle of `url` and `others` has a share.
    """
    names = sorted({url, *others})
    mine = names.index(url)
    yield [piece for at, piece in enumerate(pieces) if at % len(names) == mine]
    rest = [piece for at, piece in enumerate(pieces) if at % len(names) != mine]
    random.shuffle(rest)
    yield rest
