"""Transactions that wait for a block: bounded, checked on arrival, in a deterministic order."""

from __future__ import annotations

from collections.abc import Iterable

from bift_ros.chain.blocks import MAX_BLOCK_BYTES
from bift_ros.chain.exceptions import (
    AlreadyKnown,
    DuplicateUpdate,
    InsufficientBalance,
    InvalidTransaction,
    NotYetValid,
    PoolFull,
    SequenceGap,
    SequenceTaken,
    SequenceUsed,
)
from bift_ros.chain.genesis import MAX_MEMBERS, Genesis
from bift_ros.chain.state import State
from bift_ros.chain.transaction_rules import (
    apply_transaction,
    check_payload,
    check_sequence,
)
from bift_ros.chain.transactions import ModelCommit, ModelUpdate, Transaction, check_signature

MAX_TRANSACTIONS = 4096
MAX_PER_SENDER = 32
MAX_SEQUENCE_GAP = 32
# What a block holds besides transactions: header, signature, and a model info that may name
# many contributors (42 bytes each).
_RESERVED_BYTES = 1024
_BYTES_PER_CONTRIBUTOR = 42
# The head of a byte string in the body's list.
_ITEM_OVERHEAD = 3


class Mempool:
    """A vehicle's pool. It keeps no state of the chain: the caller passes the tip's."""

    def __init__(self, max_transactions: int = MAX_TRANSACTIONS) -> None:
        self._max_transactions = max_transactions
        self._queues: dict[str, dict[int, Transaction]] = {}
        self._hashes: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, tx_hash: bytes) -> bool:
        return tx_hash in self._hashes

    def next_sequence(self, address: str, state: State) -> int:
        """Give the first sequence number of a member that neither chain nor pool has used."""
        sequence = state.sequences[address]
        queue = self._queues.get(address, {})
        while sequence in queue:
            sequence += 1
        return sequence

    def add(self, tx: Transaction, state: State, genesis: Genesis) -> None:
        """Take `tx` in, or raise a kind of InvalidTransaction with the reason.

        Held too is what may become valid: a sequence number a little ahead, or an update for a
        task or an iteration whose block has not arrived yet.
        """
        if tx.hash in self._hashes:
            raise AlreadyKnown(f"transaction {tx.hash.hex()[:16]}… is in the pool")
        check_signature(tx, genesis)
        expected = state.sequences[tx.sender]
        if tx.sequence < expected:
            raise SequenceUsed(f"sequence {tx.sequence} of {tx.sender} is used, {expected} is next")
        if tx.sequence - expected > MAX_SEQUENCE_GAP:
            raise SequenceGap(f"sequence {tx.sequence} of {tx.sender} is far ahead of {expected}")
        queue = self._queues.get(tx.sender, {})
        if tx.sequence in queue:
            raise SequenceTaken(
                f"the pool holds another transaction of {tx.sender} with sequence {tx.sequence}"
            )
        if len(self) >= self._max_transactions:
            raise PoolFull(f"the pool holds {len(self)} transactions")
        if len(queue) >= MAX_PER_SENDER:
            raise PoolFull(f"the pool holds {len(queue)} transactions of {tx.sender}")
        reason = _obstacle(state, tx)
        if reason is not None:
            raise reason
        self._check_rivals(tx)
        self._insert(tx)

    def restore(self, transactions: Iterable[Transaction]) -> None:
        """Take back what blocks held that a reorganisation removed, in the chain's order.

        They were valid on that branch; a `prune` with the new tip's state must follow. One
        whose sequence number the pool has given to another is left out.
        """
        for tx in transactions:
            if tx.sequence not in self._queues.get(tx.sender, {}):
                self._insert(tx)

    def prune(self, state: State) -> list[tuple[Transaction, InvalidTransaction]]:
        """Drop what can't become valid on top of `state`; give each with the reason.

        The reason is SequenceUsed for what the chain holds now (or what lost its number to
        another transaction of the sender). With any other reason, such as StaleIteration for an
        update that came too late, the number is free again.
        """
        dropped: list[tuple[Transaction, InvalidTransaction]] = []
        for tx in self._sorted():
            reason: InvalidTransaction | None = None
            if tx.sequence < state.sequences[tx.sender]:
                reason = SequenceUsed(f"sequence {tx.sequence} of {tx.sender} is used")
            else:
                reason = _obstacle(state, tx)
            if reason is not None:
                self._remove(tx)
                dropped.append((tx, reason))
        return dropped

    def pending(self, state: State, with_updates: bool = False) -> list[Transaction]:
        """Give what the next block can hold, valid in this order and within its size.

        Without `with_updates` it is for a block with model_flag 0, so updates are left out and
        wait with what follows them; with it, commits are. The order depends on the pool's
        content only, not on the order of arrival. Senders with an update come first, so that
        other transactions don't crowd updates out.
        """
        unwanted = ModelCommit if with_updates else ModelUpdate
        contributors = min(MAX_MEMBERS, len(state.balances)) if with_updates else 0
        room = MAX_BLOCK_BYTES - _RESERVED_BYTES - _BYTES_PER_CONTRIBUTOR * contributors
        chosen: list[Transaction] = []
        waiting = self._by_urgency(with_updates)
        progress = True
        while progress:  # a transfer may become affordable through another sender's
            progress = False
            for sender in waiting:
                queue = self._queues[sender]
                while (tx := queue.get(state.sequences[sender])) is not None:
                    size = len(tx.to_bytes()) + _ITEM_OVERHEAD
                    if isinstance(tx.payload, unwanted) or size > room or not _fits(state, tx):
                        break
                    state = apply_transaction(state, tx)
                    chosen.append(tx)
                    room -= size
                    progress = True
        return chosen

    def updates(self, state: State) -> tuple[Transaction, ...]:
        """Give the model updates that the next model block can hold."""
        chosen = self.pending(state, with_updates=True)
        return tuple(tx for tx in chosen if isinstance(tx.payload, ModelUpdate))

    def _by_urgency(self, updates_first: bool) -> list[str]:
        def key(sender: str) -> tuple[bool, str]:
            queue = self._queues[sender].values()
            late = not any(isinstance(tx.payload, ModelUpdate) for tx in queue)
            return (updates_first and late, sender)

        return sorted(self._queues, key=key)

    def _check_rivals(self, tx: Transaction) -> None:
        """Refuse a second update of an iteration by one member, or with one CID: first come."""
        update = tx.payload
        if not isinstance(update, ModelUpdate):
            return
        for queue in self._queues.values():
            for other in queue.values():
                if not isinstance(other.payload, ModelUpdate) or (
                    other.payload.model_id,
                    other.payload.iteration,
                    other.payload.base_cid,
                ) != (update.model_id, update.iteration, update.base_cid):
                    continue
                if other.sender == tx.sender:
                    raise DuplicateUpdate(
                        f"{tx.sender} has an update in iteration {update.iteration} already"
                    )
                if other.payload.cid == update.cid:
                    raise DuplicateUpdate(
                        f"the update {update.cid} of {tx.sender} is {other.sender}'s too"
                    )

    def _sorted(self) -> list[Transaction]:
        return [
            queue[sequence]
            for _, queue in sorted(self._queues.items())
            for sequence in sorted(queue)
        ]

    def _insert(self, tx: Transaction) -> None:
        self._queues.setdefault(tx.sender, {})[tx.sequence] = tx
        self._hashes.add(tx.hash)

    def _remove(self, tx: Transaction) -> None:
        queue = self._queues[tx.sender]
        del queue[tx.sequence]
        if not queue:
            del self._queues[tx.sender]
        self._hashes.discard(tx.hash)


def _obstacle(state: State, tx: Transaction) -> InvalidTransaction | None:
    """Give the reason why `tx` can't become valid on top of `state`, if there is one."""
    try:
        check_payload(state, tx)
    except NotYetValid:
        return None
    except InsufficientBalance as error:
        # An earlier transaction may bring the stake.
        return error if tx.sequence == state.sequences[tx.sender] else None
    except InvalidTransaction as error:
        return error
    return None


def _fits(state: State, tx: Transaction) -> bool:
    try:
        check_sequence(state, tx)
        check_payload(state, tx)
    except InvalidTransaction:
        return False
    return True
