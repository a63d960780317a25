"""What a vehicle keeps for itself over a restart, in its chain's store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bift_ros.consensus.exceptions import ChainError
from bift_ros.peer.context import Context

_Read = TypeVar("_Read")


def recall(context: Context, name: str, read: Callable[[bytes], _Read]) -> _Read | None:
    """Give what `read` makes of a note, or None where there is none.

    One that can't be used, such as another version's, is put aside and reported: it must not end
    the vehicle, which would meet it again at every start.
    """
    store = context.chain.store
    note = store.note(name)
    if not note:
        return None
    try:
        return read(note)
    except (ChainError, TypeError) as error:
        aside = f"unusable {name}"
        if context.write_note(aside, note):
            context.write_note(name, b"")
        reason = f"the stored note {name!r} can't be used, it is kept as {aside!r}: {error}"
        context.refuse("note", name, context.key.address, reason)
        return None
