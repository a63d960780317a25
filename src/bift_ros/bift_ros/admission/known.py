"""What was let in already, by the hash of its bytes: to say it again costs whoever says it nothing.

A replay counts against nobody, since anybody can replay what another has signed.
"""

from __future__ import annotations

MAXIMUM_KNOWN = 16_384
"""The oldest are forgotten first: what comes again after that is checked again."""
REPLAY_MS = 4_000
"""How long the same bytes are passed over. A member repeats what waits after a longer time, and
whoever had no room for it, or was not ready, is handed it then."""
_FOREVER = 2**63


class Known:
    """Signed bytes of members, each with the time until which nobody need see it again."""

    def __init__(self) -> None:
        self._until: dict[bytes, int] = {}

    def __contains__(self, name: bytes) -> bool:
        return name in self._until

    def is_replay(self, name: bytes, now: int) -> bool:
        """Tell whether these bytes came just now, or are of no use any more."""
        return now < self._until.get(name, now)

    def note(self, name: bytes, now: int) -> None:
        """Bytes were let in."""
        self._keep(name, now + REPLAY_MS)

    def retire(self, name: bytes) -> None:
        """Bytes are signed but will never be of use again."""
        self._keep(name, _FOREVER)

    def _keep(self, name: bytes, until: int) -> None:
        self._until.pop(name, None)
        self._until[name] = until
        if len(self._until) > MAXIMUM_KNOWN:
            del self._until[next(iter(self._until))]
