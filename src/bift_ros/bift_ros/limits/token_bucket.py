"""A token bucket: so much at once, and so much a second in the long run."""

from __future__ import annotations

from typing import NamedTuple


class Rate(NamedTuple):
    """So many at once, and so many a second in the long run."""

    burst: float
    a_second: float


class Bucket:
    """Full at first. Times are seconds of any clock that never goes back."""

    def __init__(self, rate: Rate) -> None:
        self._rate, self._level = rate, rate.burst
        self._filled_at: float | None = None

    def holds(self, amount: float, now: float) -> bool:
        """Fill up to `now`; tell whether so much is there."""
        if self._filled_at is not None:
            more = max(0.0, now - self._filled_at) * self._rate.a_second
            self._level = min(self._rate.burst, self._level + more)
        self._filled_at = now
        return self._level >= amount

    def take(self, amount: float) -> None:
        """Take so much; what was not there is owed."""
        self._level -= amount

    def give_back(self) -> None:
        """Put one back."""
        self._level = min(self._rate.burst, self._level + 1)

    @property
    def seconds_owed(self) -> float:
        """How long it takes from the last filling until nothing is owed."""
        return max(0.0, -self._level / self._rate.a_second)

    def is_full(self, now: float) -> bool:
        """Whether nothing of it was taken lately."""
        return self.holds(self._rate.burst, now)
