"""What a vehicle has refused: counted, and told to its log as often as a person can read it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.impl.rcutils_logger import RcutilsLogger

from bift_ros.limits.limited_log import MAX_CHARACTERS, LimitedLog
from bift_ros.peer.effects import Refused


class Refusals:
    """Both buses' threads note here."""

    def __init__(self, log: RcutilsLogger, who: Callable[[str], str]) -> None:
        """`who` says what an address is called."""
        self._log, self._who, self._log_line = log, who, LimitedLog(log.warning)
        self._lock = threading.Lock()
        self.count, self.last = 0, ""

    def note(self, refusal: Refused) -> None:
        """Count and tell it; a note of this vehicle's own is an error each time."""
        whose = f" from {self._who(refusal.sender)}" if refusal.sender else ""
        line = f"{refusal.what}{whose}: {refusal.reason}"[:MAX_CHARACTERS]
        with self._lock:
            self.count, self.last = self.count + 1, line
            if refusal.what == "note":
                self._log.error(line)
            else:
                self._log_line(f"refused {line}")
