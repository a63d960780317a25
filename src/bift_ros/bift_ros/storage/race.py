"""Several ways to one end, started one after another: the next where those before make no headway.

Two transfers of one file cost the fleet's network twice, so the second begins only where the first
has failed or stalled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bift_ros.storage.interface import StorageError

Way = Callable[[Callable[[], None]], None]
"""Does the work; calls its argument now and then to say that it makes headway."""


class Race:
    """Runs ways in threads of their own until one of them has succeeded."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._won = False
        self._headway = False
        self._moved_at = 0.0
        self.errors: list[StorageError] = []
        """What those failed with that did."""

    def start(self, way: Way) -> None:
        """Begin one more; it is left to end by itself once another has won."""
        with self._changed:
            self._running += 1
            self._headway = False
            self._moved_at = time.monotonic()
        threading.Thread(target=self._run, args=(way,), name="race", daemon=True).start()

    def goes_well(self, first: float, later: float) -> bool:
        """Wait until one has won (True), or all have failed or stalled (False).

        Stalled means no headway for `first` seconds from the start, or `later` seconds from then.
        """
        with self._changed:
            while self._running and not self._won:
                patience = later if self._headway else first
                left = self._moved_at + patience - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return self._won

    def won(self) -> bool:
        """Wait for the end; whether one has succeeded. Otherwise `errors` says why none did."""
        with self._changed:
            self._changed.wait_for(lambda: self._won or not self._running)
            return self._won

    def _run(self, way: Way) -> None:
        error: StorageError | None = None
        try:
            way(self._move)
        except StorageError as failure:
            error = failure
        except Exception as failure:  # a thread's error reaches nobody else
            error = StorageError(f"unexpected: {failure!r}")
        with self._changed:
            self._running -= 1
            if error is None:
                self._won = True
            else:
                self.errors.append(error)
            self._changed.notify_all()

    def _move(self) -> None:
        with self._changed:
            self._headway = True
            self._moved_at = time.monotonic()
