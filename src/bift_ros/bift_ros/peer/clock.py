"""What a peer makes of its clocks: one that only goes forward, and one that may be set.

Timers run on the first. The second is set when a vehicle finds better time, or worse: by hours. So
each stamp is judged by whichever of the two leaves it more room, and made of whichever is behind.
"""

from __future__ import annotations

from typing import NamedTuple

from bift_ros.consensus.state import State


class Time(NamedTuple):
    """A moment, in milliseconds."""

    wall: int
    """Since the Unix epoch, by a clock that may be set forward and back."""
    monotonic: int
    """Since some moment, by a clock that nobody sets."""


class Clock:
    """The time that it is, as `set` says before every event."""

    def __init__(self, skew_ms: int) -> None:
        """`skew_ms` is how far the genesis lets clocks be apart."""
        self._skew_ms = skew_ms
        self._offset: int | None = None
        self._behind = 0
        self._tip = (b"", 0)
        self.now = 0
        """For timers: the wall clock's time at the start, and what has passed since."""
        self.latest = 0
        """The later of both: no stamp may be further ahead of it than the skew."""

    def set(self, time: Time) -> None:
        """It is so late now."""
        if self._offset is None:
            self._offset = time.wall - time.monotonic
        self.now = time.monotonic + self._offset
        self.latest = max(self.now, time.wall)
        self._behind = min(self.now, time.wall)

    def stamp(self, tip: State) -> int:
        """The time for this vehicle's own words, said after a tip.

        A clock by which the tip could not be accepted is wrong: the chain's own time, and what has
        passed since, is better.
        """
        if self._tip[0] != tip.tip_hash:
            self._tip = (tip.tip_hash, self.now)
        if self._behind + self._skew_ms >= tip.timestamp:
            return self._behind
        return tip.timestamp + self.now - self._tip[1]
