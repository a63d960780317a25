"""Log lines of one kind, as many as a person can use, whatever others send."""

from __future__ import annotations

import time
from collections.abc import Callable

from bift_ros.limits.token_bucket import Bucket, Rate

BURST = 20
"""Lines that may come at once."""
SECONDS_A_LINE = 10.0
"""How often one more may come."""
MAX_CHARACTERS = 300
"""Of a line; the rest is cut off."""


class LimitedLog:
    """What stands before a logger; what it holds back is counted, and told with the next."""

    def __init__(
        self, log: Callable[[str], object], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._log, self._now, self._held_back = log, now, 0
        self._lines = Bucket(Rate(BURST, 1 / SECONDS_A_LINE))

    def __call__(self, line: str) -> None:
        """Log a line, unless there have been too many."""
        if not self._lines.holds(1, self._now()):
            self._held_back += 1
            return
        self._lines.take(1)
        more = f" ({self._held_back} more like it were not logged)" if self._held_back else ""
        self._held_back = 0
        self._log(line[:MAX_CHARACTERS] + more)
