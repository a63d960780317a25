"""Miners that sign two blocks on one parent: the proof is kept, and further blocks are disputed.

An honest miner never does: it follows its own block at once, and no other block can make it go
back to the parent. Two blocks are judged like any other and fork choice takes one of them, so all
members who know both agree. Of more, each vehicle may know others: those are followed only where
most members are.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from functools import partial

from bift_ros.chain.interface import MAX_EVIDENCE
from bift_ros.consensus.blocks import Header, SignedHeader
from bift_ros.peer.context import Context
from bift_ros.peer.effects import EquivocationFound

_MAXIMUM_REMEMBERED = 4096


class Equivocations:
    """Watches the headers that members have signed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: OrderedDict[tuple[str, bytes], list[SignedHeader]] = OrderedDict()
        self._unkept: deque[tuple[SignedHeader, SignedHeader]] = deque(maxlen=MAX_EVIDENCE)

    def note(self, signed: SignedHeader) -> None:
        """Take in a header whose signature holds."""
        header = signed.header
        seen = self._seen.setdefault((header.miner, header.previous_hash), [])
        if len(self._seen) > _MAXIMUM_REMEMBERED:
            self._seen.popitem(last=False)
        if len(seen) == 2 or any(other.header.hash == header.hash for other in seen):
            return
        seen.append(signed)
        if len(seen) == 2:
            first, second = seen
            self._unkept.append((first, second))
            self._context.emit(EquivocationFound(first, second))
            self.keep()

    def keep(self) -> None:
        """Keep what could not be kept before."""
        store = self._context.chain.store
        while self._unkept:
            first, second = (signed.to_bytes() for signed in self._unkept[0])
            self._context.write("evidence", partial(store.add_evidence, first, second))
            if self._context.store_fails:
                return
            self._unkept.popleft()

    def objection(self, header: Header) -> str | None:
        """What this vehicle holds against one more block of a miner caught on the same parent."""
        seen = self._seen.get((header.miner, header.previous_hash), [])
        if len(seen) < 2 or any(other.header.hash == header.hash for other in seen):
            return None
        return "its miner has signed two other blocks on the same parent"
