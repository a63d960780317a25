"""How many bytes of files have come and gone."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Traffic:
    """Bytes since a store was opened, of blocks alone: without requests and headers."""

    fetched: int = 0
    """From other vehicles, what came twice counted twice."""
    served: int = 0
    """To other vehicles and to people."""


class ByteCount:
    """A sum to which any thread adds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = 0

    @property
    def total(self) -> int:
        """The sum so far."""
        return self._total

    def add(self, count: int) -> None:
        """Count so many more."""
        with self._lock:
            self._total += count
