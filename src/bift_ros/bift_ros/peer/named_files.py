"""Which of the files that the chain has named are kept: those of its last iterations."""

from __future__ import annotations

from collections.abc import Container, Iterable

from bift_ros.chain.interface import KEPT_MODELS


class NamedFiles:
    """Says of each file when it was named last, and lets it go in time."""

    def __init__(self) -> None:
        self._named: dict[str, int] = {}
        """The model block that named a file last, counted from the first seen; oldest first."""
        self._models = 0

    def named(self, cids: Iterable[str]) -> None:
        """The followed chain has brought a model, and names these files."""
        self._models += 1
        for cid in cids:
            self.made(cid)

    def made(self, cid: str) -> None:
        """This vehicle has a file of its own that the next model block is to name."""
        self._named.pop(cid, None)
        self._named[cid] = self._models

    def outdated(self, needed: Container[str]) -> tuple[str, ...]:
        """Forget the files that were named long ago, and give them; those `needed` stay."""
        last, gone = self._models - KEPT_MODELS, []
        for cid, model in self._named.items():
            if model > last:
                break
            if cid not in needed:
                gone.append(cid)
        for cid in gone:
            del self._named[cid]
        return tuple(gone)
