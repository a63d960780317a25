"""Virtual time: what happens when, in one order that the seed alone decides."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from bift_ros.simulation.consortium import START_MS


class EventQueue:
    """Actions by virtual time, those of one instant in the order in which they were added."""

    def __init__(self) -> None:
        self.now = START_MS
        self._heap: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self._count = 0

    def after(self, ms: int, action: Callable[..., None], *arguments: object) -> None:
        """Have `action(*arguments)` happen in `ms` milliseconds."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + ms, self._count, action, arguments))

    def run_until(self, time: int) -> None:
        """Let everything up to `time` happen, and time pass."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= time:
            self.now, _, action, arguments = pop(heap)
            action(*arguments)
        self.now = time
