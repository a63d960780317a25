"""Whose files lie on this vehicle's disk, though the chain that it follows does not name them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from bift_ros.consensus.encoding import decode, encode
from bift_ros.consensus.fields import check_address, check_cid, check_integer, check_list
from bift_ros.pofl.files import MAX_MODEL_BYTES

MAXIMUM_FILES = 8
"""A member's files: it has one or two at a time, more where branches follow each other fast."""
MAXIMUM_BYTES = 2 * MAX_MODEL_BYTES
"""Of a member's files together."""
KEPT_ITERATIONS = 4
"""A file is let go so long after it was fetched: a block is confirmed after two iterations."""


@dataclass
class _Held:
    owner: str
    """The member who said that there is such a file, by address."""
    size: int
    """Bytes; until it is here, those that it may have."""
    since: int
    """Iterations that had ended when it was asked for."""


class Holdings:
    """Bounds what any member can have others keep: beyond it, the member's oldest files go.

    No fetch is refused for it, since a block that most follow may need the file. What the followed
    chain names is no part of it: an update a member and iteration, for those who join later.
    """

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}
        self._iterations = 0
        self.changed = False
        """Whether there may be something to let go, and to note."""

    def fetched(self, cid: str, owner: str, size: int) -> None:
        """A file is on its way, or is here, of up to `size` bytes."""
        if cid not in self._held:
            self._held[cid] = _Held(owner, size, self._iterations)
            self.changed = True

    def arrived(self, cid: str, size: int) -> None:
        """A file is here and has so many bytes."""
        if cid in self._held:
            self._held[cid].size = size

    def named(self, cids: Iterable[str]) -> None:
        """The followed chain has brought a model, and names these files (see `NamedFiles`)."""
        for cid in cids:
            self._held.pop(cid, None)
        self._iterations += 1
        self.changed = True

    def surplus(self, needed: Callable[[], Container[str]]) -> tuple[str, ...]:
        """Forget the files that are to be let go, and give them: none that is `needed` now."""
        files: Counter[str] = Counter()
        total: Counter[str] = Counter()
        over = []
        for cid, held in reversed(self._held.items()):
            files[held.owner] += 1
            total[held.owner] += held.size
            if (
                files[held.owner] > MAXIMUM_FILES
                or total[held.owner] > MAXIMUM_BYTES
                or self._iterations - held.since > KEPT_ITERATIONS
            ):
                over.append(cid)
        if not over:
            return ()
        kept = needed()
        gone = tuple(cid for cid in over if cid not in kept)
        for cid in gone:
            del self._held[cid]
        return gone

    def note(self) -> bytes:
        """What is to be known after a restart."""
        self.changed = False
        ages = ((cid, h, self._iterations - h.since) for cid, h in self._held.items())
        return encode([[cid, held.owner, held.size, age] for cid, held, age in ages])

    def recall(self, note: bytes) -> None:
        """Take up what was noted before a restart. Raises ChainError for another version's."""
        entries = check_list("fetched", decode(note))
        for entry in entries:
            cid, owner, size, age = check_list("fetched", entry, 4)
            check_cid("cid", cid)
            check_address("owner", owner)
            check_integer("size", size, 0)
            check_integer("age", age, 0)
            self._held[cid] = _Held(owner, size, self._iterations - age)
