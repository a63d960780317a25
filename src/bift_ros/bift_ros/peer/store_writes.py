"""Writes to the chain's store that may fail, such as on a full disk: they are tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bift_ros.chain.exceptions import StoreError

_MAXIMUM_DOUBLINGS = 5
"""Of the pause after a write that failed."""

_Result = TypeVar("_Result")


class StoreWrites:
    """Carries out writes, and knows whether they work; whoever wants one done tries it again.

    While they fail, only one is tried after each pause.
    """

    def __init__(self, retry_ms: int, report: Callable[[str], None]) -> None:
        """`report` is told of each failure."""
        self._retry_ms, self._report = retry_ms, report
        self._failures = self._retry_at = 0

    @property
    def failing(self) -> bool:
        """Whether the last one failed."""
        return self._failures > 0

    def pause(self, now: int) -> bool:
        """Whether none is to be tried yet."""
        return self.failing and now < self._retry_at

    def write(self, what: str, write: Callable[[], _Result], now: int) -> _Result | None:
        """Write, unless that is to wait, and give what `write` gives; None where it failed."""
        if self.pause(now):
            return None
        try:
            result = write()
        except StoreError as error:
            self._retry_at = now + self._retry_ms * 2 ** min(self._failures, _MAXIMUM_DOUBLINGS)
            self._failures += 1
            self._report(f"{what} can't be kept, to be tried again: {error}")
            return None
        self._failures = 0
        return result
