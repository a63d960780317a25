"""What happened in a run, in virtual time, as a person reads it."""

from __future__ import annotations

from collections.abc import Callable

from bift_ros.peer.effects import (
    BlockFinal,
    BroadcastBlock,
    ConflictingCertificate,
    DoubleVoteFound,
    Effect,
    EquivocationFound,
    Refused,
    TipChanged,
)
from bift_ros.simulation.consortium import START_MS
from bift_ros.simulation.vehicle import Vehicle


class History:
    """Hands each line on as it happens; a run that nobody reads says nothing."""

    def __init__(self, write: Callable[[str], None] | None = None) -> None:
        self._write = write

    def fault(self, now: int, text: str) -> None:
        """A fault begins or ends, or an invariant breaks."""
        if self._write is not None:
            self._write(f"{(now - START_MS) / 1000:10.3f} s  {text}")

    def effect(self, now: int, vehicle: Vehicle, effect: Effect) -> None:
        """A peer did something that matters."""
        if self._write is None:
            return
        text = _describe(effect)
        if text:
            kind = "" if vehicle.honest else f" ({type(vehicle).__name__})"
            self.fault(now, f"vehicle {vehicle.number}{kind} {text}")


def _describe(effect: Effect) -> str | None:
    match effect:
        case BroadcastBlock(block):
            info = block.body.model_info
            what = f"iteration {info.current_iter} by {info.rule}" if info else "no model"
            count = len(block.body.transactions)
            name = block.hash.hex()[:12]
            return f"mines block {block.header.height} {name}: {count} transactions, {what}"
        case TipChanged(block, removed, _):
            left = f", leaving {removed} blocks" if removed else ""
            return f"follows block {block.header.height} {block.hash.hex()[:12]}{left}"
        case EquivocationFound(first, second):
            names = f"{first.header.hash.hex()[:12]} and {second.header.hash.hex()[:12]}"
            return f"finds that {first.header.miner[:12]} signed both {names}"
        case BlockFinal(height, block_hash):
            return f"knows block {height} {block_hash.hex()[:12]} as final"
        case DoubleVoteFound(vote, _):
            return f"finds that {vote.sender[:12]} voted doubly in round {vote.statement.round}"
        case ConflictingCertificate(_, reason):
            return f"is shown a rival certificate: {reason}"
        case Refused(what, sender, reason):
            return f"refuses a {what} of {sender[:12]}: {reason}"
        case _:
            return None
