"""Miners that sign two blocks on one parent: the proof is kept, and a third block refused.

An honest miner never does: it follows its own block at once, and no other block can make it go
back to the parent. Both blocks are judged like any other and fork choice takes one of them, so all
members who know both agree; a third would only cost everybody's time.
"""

from __future__ import annotations

from collections import OrderedDict

from bift_ros.chain.blocks import SignedHeader
from bift_ros.peer.context import Context
from bift_ros.peer.effects import EquivocationFound

_MAXIMUM_REMEMBERED = 4096


class Equivocations:
    """Watches the headers that members have signed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: OrderedDict[tuple[str, bytes], list[SignedHeader]] = OrderedDict()

    def allows(self, signed: SignedHeader) -> bool:
        """Note a header whose signature holds; False where its miner signed two others there."""
        header = signed.header
        place = (header.miner, header.previous_hash)
        seen = self._seen.setdefault(place, [])
        if len(self._seen) > _MAXIMUM_REMEMBERED:
            self._seen.popitem(last=False)
        if any(other.header.hash == header.hash for other in seen):
            return True
        if len(seen) == 2:
            return False
        seen.append(signed)
        if len(seen) == 2:
            first, second = seen
            self._context.chain.store.add_evidence(first.to_bytes(), second.to_bytes())
            self._context.emit(EquivocationFound(first, second))
        return True
