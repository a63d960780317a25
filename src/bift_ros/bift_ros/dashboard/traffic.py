"""What goes through a fleet's network, sampled for as long as somebody watches."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from bift_ros.monitoring.view import FleetView

MAX_SAMPLES = 900
"""The oldest go first: a quarter of an hour at one a second."""


@dataclass(frozen=True)
class TrafficSample:
    """The time between two looks at the fleet."""

    at: float
    """Its end, in seconds of the listener's monotonic clock."""
    seconds: float
    """How long it was."""
    fetched: int
    """Bytes of files that the vehicles took from each other meanwhile."""
    served: int
    """Bytes of files that they gave meanwhile."""
    messages: Mapping[str, int]
    """Transactions and blocks that were heard meanwhile, by kind."""


class Traffic:
    """Turns the vehicles' counters and the messages heard into samples."""

    def __init__(self) -> None:
        self._samples: deque[TrafficSample] = deque(maxlen=MAX_SAMPLES)
        self._at: float | None = None
        self._counters: dict[str, tuple[int, int]] = {}
        self.taken = 0
        """How many samples there were since the start."""

    def sample(self, view: FleetView, now: float) -> None:
        """Look at the fleet; the first look only notes where the counters stand."""
        counters = {
            name: (v.status.resources.fetched_bytes, v.status.resources.served_bytes)
            for name, v in view.vehicles.items()
            if v.status is not None
        }
        if now == self._at:
            return
        if self._at is not None:
            self._samples.append(
                TrafficSample(
                    at=now,
                    seconds=now - self._at,
                    fetched=self._growth(counters, 0),
                    served=self._growth(counters, 1),
                    messages=Counter(f.kind for f in view.flights if self._at < f.at <= now),
                )
            )
            self.taken += 1
        self._at = now
        self._counters.update(counters)

    def newest(self, count: int) -> tuple[TrafficSample, ...]:
        """The last `count` samples, oldest first, as far as they are kept."""
        return tuple(islice(reversed(self._samples), count))[::-1]

    def _growth(self, counters: Mapping[str, tuple[int, int]], which: int) -> int:
        """How much the vehicles' counters grew. A vehicle that began anew counts from 0."""
        total = 0
        for name, values in counters.items():
            before = self._counters.get(name, values)[which]
            total += values[which] - before if values[which] >= before else values[which]
        return total
