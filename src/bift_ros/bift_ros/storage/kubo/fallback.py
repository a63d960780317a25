"""Several ways to one end, each begun where those before it have failed or stalled.

Two transfers of one file cost the fleet's network twice, so the second begins only then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bift_ros.storage.errors import StorageError

Attempt = Callable[[Callable[[], None]], None]
"""Does the work; calls its argument now and then to say that it makes progress."""


class Fallback:
    """Runs attempts in threads of their own until one of them has succeeded."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._succeeded = False
        self._progressed = False
        self._progressed_at = 0.0
        self.errors: list[StorageError] = []
        """What those failed with that did."""

    def start(self, attempt: Attempt) -> None:
        """Begin one more; it is left to end by itself once another has succeeded."""
        with self._changed:
            self._running += 1
            self._progressed = False
            self._progressed_at = time.monotonic()
        threading.Thread(target=self._run, args=(attempt,), name="fallback", daemon=True).start()

    def succeeds_unaided(self, first: float, later: float) -> bool:
        """Wait until one has succeeded (True), or all have failed or stalled (False).

        Stalled means no progress for `first` seconds from the start, or `later` seconds from then.
        """
        with self._changed:
            while self._running and not self._succeeded:
                patience = later if self._progressed else first
                left = self._progressed_at + patience - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return self._succeeded

    def succeeds(self) -> bool:
        """Wait for the end; whether one has succeeded. Otherwise `errors` says why none did."""
        with self._changed:
            self._changed.wait_for(lambda: self._succeeded or not self._running)
            return self._succeeded

    def _run(self, attempt: Attempt) -> None:
        error: StorageError | None = None
        try:
            attempt(self._note_progress)
        except StorageError as failure:
            error = failure
        except Exception as failure:  # a thread's error reaches nobody else
            error = StorageError(f"unexpected: {failure!r}")
        with self._changed:
            self._running -= 1
            if error is None:
                self._succeeded = True
            else:
                self.errors.append(error)
            self._changed.notify_all()

    def _note_progress(self) -> None:
        with self._changed:
            self._progressed = True
            self._progressed_at = time.monotonic()
