"""Messages as bytes, for runs in which somebody publishes bytes: all then pass each one's gate."""

from __future__ import annotations

from dataclasses import dataclass

from bift_ros.admission.exceptions import NotAdmitted
from bift_ros.admission.gate import Gate
from bift_ros.peer.effects import Refused
from bift_ros.peer.events import BlockReceived, Event, TipReceived, TransactionReceived

_ENCAPSULATION = b"\0\1\0\0"


@dataclass(frozen=True)
class Published(Event):
    """What was published on a topic."""

    topic: type[Event]
    """By the event that a message there becomes."""
    message: bytes
    """In CDR."""


def cdr(data: bytes) -> bytes:
    """A message that begins with these bytes."""
    return _ENCAPSULATION + len(data).to_bytes(4, "little") + data


def published(event: Event) -> Event:
    """A message of a topic as bytes; any other event as it is."""
    match event:
        case TransactionReceived(transaction):
            return Published(TransactionReceived, cdr(transaction.to_bytes()))
        case BlockReceived(block):
            return Published(BlockReceived, cdr(block.to_bytes()))
        case TipReceived(tip):
            return Published(TipReceived, cdr(tip.to_bytes()))
        case _:
            return event


def admitted(gate: Gate, event: Event, now: int) -> Event | Refused | None:
    """What a gate lets in of an event; None where it is nothing new."""
    said = published(event)
    if not isinstance(said, Published):
        return event
    try:
        if said.topic is TransactionReceived:
            transaction = gate.transaction(said.message, now)
            return TransactionReceived(transaction) if transaction is not None else None
        if said.topic is BlockReceived:
            block = gate.block(said.message, now)
            return BlockReceived(block) if block is not None else None
        tip = gate.tip(said.message, now)
        return TipReceived(tip) if tip is not None else None
    except NotAdmitted as error:
        return Refused(error.what, error.sender, error.reason)
