"""The blocks that one call has yet to get: which of them to ask next, and of whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from math import inf

from bift_ros.storage.piece_picker import PiecePicker
from bift_ros.storage.provider import Piece, Provider

SMALL_BATCH = 16
"""Blocks that are not worth two requests."""

_LOOK_AHEAD = 64
"""Blocks tried before a provider is thought to have nothing to give now."""


class PieceQueue:
    """Pieces until each has come. Used by one thread, except that any may look into `wanted`."""

    def __init__(self, picker: PiecePicker, pieces: Sequence[Piece]) -> None:
        self._picker = picker
        self._pending = picker.order(pieces)
        self._refusals: dict[Piece, dict[Provider, float]] = {piece: {} for piece in pieces}
        self.wanted = set(pieces)
        """What has not come, whether it is asked of somebody or not."""

    def next_batch(self, now: float) -> tuple[Provider, list[Piece]] | None:
        """Take pieces that nobody is asked for, to ask one provider for at once.

        They lie one after the other in the file. None where there is nothing to ask now.
        """
        while self._pending and self._pending[0] not in self.wanted:  # came otherwise
            self._pending.popleft()
        ahead = (piece for piece in islice(self._pending, _LOOK_AHEAD) if piece in self.wanted)
        chosen = self._picker.choose(ahead, self._refusals, now)
        if chosen is None:
            return None
        piece, provider = chosen
        at = self._pending.index(piece)
        most = self._largest_batch(provider)
        pieces = [piece]
        while at + len(pieces) < len(self._pending) and len(pieces) < most:
            after = self._pending[at + len(pieces)]
            if after not in self.wanted or provider in self._refusals[after]:
                break
            if not _adjoin(pieces[-1], after):
                break
            pieces.append(after)
        for _ in pieces:
            del self._pending[at]
        return provider, pieces

    def hedge(self, late: Iterable[Piece], now: float) -> tuple[Provider, list[Piece]] | None:
        """The first of the pieces, asked of others already, to ask one more provider for."""
        chosen = self._picker.choose(islice(late, _LOOK_AHEAD), self._refusals, now)
        return None if chosen is None else (chosen[1], [chosen[0]])

    def refuse(self, provider: Provider, pieces: Iterable[Piece], until: float = inf) -> None:
        """Ask a provider for these pieces no more, before a moment."""
        for piece in pieces:
            self._refusals[piece][provider] = until

    def allow(self, provider: Provider, pieces: Iterable[Piece]) -> None:
        """Ask a provider for these pieces again."""
        for piece in pieces:
            self._refusals[piece].pop(provider, None)

    def put_back(self, pieces: Sequence[Piece]) -> None:
        """Put pieces that a request did not bring before all others."""
        self._pending.extendleft(piece for piece in reversed(pieces) if piece in self.wanted)

    def expects_of(self, provider: Provider) -> bool:
        """Whether one that is fetching the file has said that it has something for the next."""
        return any(provider.holds(piece) for piece in islice(self._pending, _LOOK_AHEAD))

    def hopeless(self) -> Piece | None:
        """A piece that was asked in vain of everyone while nobody expects it, if there is one."""
        providers = self._picker.providers
        if any(provider.has is not None and not provider.gone for provider in providers):
            return None
        for piece in self.wanted.intersection(self._pending):
            refused = self._refusals[piece]
            if all(provider.gone or provider in refused for provider in providers):
                return piece
        return None

    def _largest_batch(self, provider: Provider) -> int:
        """Blocks to ask of one at once; fewer towards the end, lest all wait for one."""
        if not provider.by_range:
            return 1
        return min(provider.batch, max(SMALL_BATCH, len(self._pending) // 2))


def _adjoin(first: Piece, second: Piece) -> bool:
    """Whether one piece of content directly follows the other."""
    if first.offset is None or first.size is None:
        return False
    return second.offset == first.offset + first.size
