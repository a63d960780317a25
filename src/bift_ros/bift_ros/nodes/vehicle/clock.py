"""Where the seconds of an iteration went, as one vehicle sees it."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class IterationSeconds:
    """Seconds of the last finished iteration."""

    training: float = 0.0
    """This vehicle's own local training, from the start signal to its update in storage."""
    storage: float = 0.0
    """Fetching and keeping files, summed over all of them."""
    consensus: float = 0.0
    """From the last update's announcement heard to standing on the new tip."""


class IterationClock:
    """Told what happens, says how long it took."""

    def __init__(self) -> None:
        self._training_since = 0.0
        self._training = 0.0
        self._last_update = 0.0
        self.last = IterationSeconds()

    def training_started(self) -> None:
        """A local training starts."""
        self._training_since = time.monotonic()

    def training_ended(self) -> None:
        """The local training ended, well or not."""
        self._training = time.monotonic() - self._training_since

    def update_heard(self) -> None:
        """A model update was announced, this vehicle's own or another's."""
        self._last_update = time.monotonic()

    def iteration_finished(self, storage_seconds: float) -> None:
        """A block with a new global model is the tip."""
        consensus = time.monotonic() - self._last_update if self._last_update else 0.0
        self.last = IterationSeconds(self._training, storage_seconds, consensus)
        self._training = self._last_update = 0.0
