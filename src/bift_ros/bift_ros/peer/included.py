"""Which transactions the chain has brought lately, so that old ones are told from new."""

from __future__ import annotations

from collections.abc import Iterable

from bift_ros.consensus.payloads import Learning
from bift_ros.consensus.state import Task
from bift_ros.consensus.transactions import Transaction

_MAXIMUM_INCLUDED = 4096


class Included:
    """Hashes of transactions on the chain, the newest."""

    def __init__(self) -> None:
        self._hashes: dict[bytes, None] = {}

    def __contains__(self, transaction: Transaction) -> bool:
        return transaction.hash in self._hashes

    def left(self, transactions: Iterable[Transaction]) -> None:
        """The chain has left a block with these."""
        for transaction in transactions:
            self._hashes.pop(transaction.hash, None)

    def brought(self, transactions: Iterable[Transaction]) -> None:
        """The chain has brought these."""
        self._hashes.update(dict.fromkeys(transaction.hash for transaction in transactions))
        while len(self._hashes) > _MAXIMUM_INCLUDED:
            del self._hashes[next(iter(self._hashes))]

    def is_old(self, transaction: Transaction, task: Task | None) -> bool:
        """Whether the chain holds a commit or update, or is far beyond it."""
        if transaction in self:
            return True
        payload = transaction.payload
        return (
            isinstance(payload, Learning)
            and task is not None
            and (payload.model_id != task.model_id or payload.iteration < task.current_iter)
        )
