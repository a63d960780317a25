"""Transactions that wait for a block: bounded, checked on arrival, in a deterministic order.

Account transactions (transfers, proposals) queue by sender and sequence number. Learning
transactions (commits, updates) have no such order: they lie in rounds, one for each task,
iteration and base model, with one commit and one update a member.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from bift_ros.chain.exceptions import AlreadyKnown, PoolFull, SequenceTaken
from bift_ros.chain.waiting import check_affordable, fits, learns_alike, obstacle, within_budget
from bift_ros.consensus.blocks import MAX_BLOCK_BYTES
from bift_ros.consensus.exceptions import (
    DuplicateLearning,
    InsufficientBalance,
    InvalidTransaction,
    NotYetValid,
)
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.payloads import (
    DoubleVote,
    Learning,
    ModelCommit,
    ModelUpdate,
    RoundKey,
)
from bift_ros.consensus.state import State
from bift_ros.consensus.transaction_rules import (
    apply_transaction,
    check_payload,
    check_sequence,
)
from bift_ros.consensus.transactions import Transaction, check_signature

MAX_TRANSACTIONS = 8192
MAX_PER_SENDER = 32
MAX_LEARNING_PER_SENDER = 8
"""A member has two at a time; more where iterations or branches follow each other fast."""
MAX_SEQUENCE_GAP = 32
# What a block holds besides transactions: header, signature, model info.
_RESERVED_BYTES = 1024
# What an update's sender takes in the model info's list of contributors.
_BYTES_PER_CONTRIBUTOR = 42
# The head of a byte string in the body's list.
_ITEM_OVERHEAD = 3


class Mempool:
    """A vehicle's pool. It keeps no state of the chain: the caller passes the tip's."""

    def __init__(self, max_transactions: int = MAX_TRANSACTIONS) -> None:
        self._max_transactions = max_transactions
        self._queues: dict[str, dict[int, Transaction]] = {}
        """An account's transactions by their numbers; whose turn is next stands first."""
        self.account_changes = 0
        """How often an account's transaction has come or gone."""
        self._rounds: dict[RoundKey, dict[str, Transaction]] = {}
        """A round's commits, or its updates, by sender."""
        self._learning_of: Counter[str] = Counter()
        """How many learning transactions each sender has here."""
        self._by_hash: dict[bytes, Transaction] = {}
        self._pruned_by: State | None = None
        """What all learning here was last judged by; None where some of it was not."""
        self._ready_by: State | None = None
        self._ready: dict[type[Learning], tuple[Transaction, ...]] = {}
        """The learning that is valid after that state, as far as it was asked for."""
        self._ready_cids: set[str] = set()
        """The files of its updates."""

    def __len__(self) -> int:
        return len(self._by_hash)

    @property
    def has_account(self) -> bool:
        """Whether anything but learning waits."""
        return bool(self._queues)

    def __contains__(self, tx_hash: bytes) -> bool:
        return tx_hash in self._by_hash

    def get(self, tx_hash: bytes) -> Transaction | None:
        """Give the transaction with this hash, or None."""
        return self._by_hash.get(tx_hash)

    def accuses(self, address: str) -> bool:
        """Tell whether evidence waits that this member voted twice."""
        waiting = (tx.payload for queue in self._queues.values() for tx in queue.values())
        return any(isinstance(p, DoubleVote) and p.accused == address for p in waiting)

    def next_sequence(self, address: str, state: State) -> int:
        """Give the first sequence number of a member that neither chain nor pool has used."""
        sequence = state.next_sequence(address)
        queue = self._queues.get(address, {})
        while sequence in queue:
            sequence += 1
        return sequence

    def add(self, tx: Transaction, state: State, genesis: Genesis) -> None:
        """Take `tx` in, or raise a kind of InvalidTransaction with the reason.

        Held too is what may become valid: a sequence number a little ahead, or an update for a
        task or an iteration whose block has not arrived yet.
        """
        if tx.hash in self._by_hash:
            raise AlreadyKnown(f"transaction {tx.hash.hex()[:16]}… is in the pool")
        check_signature(tx, genesis, state.members)
        if isinstance(tx.payload, Learning):
            self._check_learning(tx, tx.payload, state)
        else:
            self._check_account(tx, state)
        if len(self) >= self._max_transactions:
            raise PoolFull(f"the pool holds {len(self)} transactions")
        try:
            check_payload(state, tx)
        except (NotYetValid, InsufficientBalance):
            check_affordable(state, tx, self._queues.get(tx.sender, {}))
            self._insert(tx)
        else:
            self._insert(tx)
            self._note_ready(tx, state)

    def restore(self, transactions: Iterable[Transaction]) -> None:
        """Take back what blocks held that a reorganisation removed, in the chain's order.

        They were valid on that branch; a `prune` with the new tip's state must follow. One
        whose place the pool has given to another is left out.
        """
        for tx in transactions:
            groups, key, name = self._place(tx)
            if name not in groups.get(key, {}):
                self._insert(tx)
                self._ready.clear()
                self._pruned_by = None

    def prune(self, state: State) -> list[tuple[Transaction, InvalidTransaction]]:
        """Drop what can't become valid on top of `state`; give each with the reason.

        The reason is SequenceUsed for an account's transaction that the chain holds now (or that
        lost its number to another of the sender). With any other reason, the number is free again.
        """
        waiting = [tx for queue in self._queues.values() for _, tx in sorted(queue.items())]
        if not learns_alike(self._pruned_by, state):
            waiting += [tx for round_ in self._rounds.values() for tx in round_.values()]
        judged = ((tx, obstacle(state, tx)) for tx in waiting)
        dropped = [(tx, reason) for tx, reason in judged if reason is not None]
        self._pruned_by = state
        for tx, _ in dropped:
            self.remove(tx)
        return dropped

    def pending(
        self, state: State, learning: type[ModelCommit] | type[ModelUpdate] | None = None
    ) -> list[Transaction]:
        """Give what the next block can hold, valid in this order and within its size.

        `learning` is the kind of learning that the block may carry. It comes first, so that
        transfers don't crowd it out. Where not all of it fits, its order favours no member. Of the
        accounts each has its turn, first the one whose next transaction has waited longest.
        """
        room = MAX_BLOCK_BYTES - _RESERVED_BYTES
        chosen: list[Transaction] = []
        if learning is not None:
            extra = _ITEM_OVERHEAD + _BYTES_PER_CONTRIBUTOR * (learning is ModelUpdate)
            for tx in sorted(self.learning(state, learning), key=lambda tx: tx.hash):
                room -= len(tx.to_bytes()) + extra
                if room < 0:
                    return chosen
                chosen.append(tx)
        before = -1
        while before < len(chosen):  # a transfer may become affordable through another sender's
            before = len(chosen)
            for sender, queue in self._queues.items():
                tx_ = queue.get(state.next_sequence(sender))  # one a turn
                if tx_ is None:
                    continue
                size = len(tx_.to_bytes()) + _ITEM_OVERHEAD
                if size <= room and fits(state, tx_) and within_budget(state, tx_):
                    state = apply_transaction(state, tx_)
                    chosen.append(tx_)
                    room -= size
        return chosen

    def learning(self, state: State, kind: type[Learning]) -> tuple[Transaction, ...]:
        """Give the round's commits or updates that are valid on top of `state`, in any order.

        The very same tuple comes back until something changes.
        """
        if not learns_alike(self._ready_by, state):
            self._ready.clear()
        self._ready_by = state
        if kind not in self._ready:
            if kind is ModelUpdate:
                self._ready_cids = set()
            waiting = self._rounds.get(state.task.round(kind), {}) if state.task else {}
            ordered = sorted(waiting.values(), key=lambda tx: tx.hash)
            valid = (tx for tx in ordered if fits(state, tx) and not self._is_copy(tx))
            self._ready[kind] = tuple(valid)
        return self._ready[kind]

    def has_learning(self, sender: str, key: RoundKey) -> bool:
        """Tell whether a member's commit or update of a round waits here."""
        return sender in self._rounds.get(key, {})

    def remove(self, tx: Transaction) -> None:
        """Drop a transaction that waits here."""
        groups, key, name = self._place(tx)
        del groups[key][name], self._by_hash[tx.hash]
        if not groups[key]:
            del groups[key]
        elif groups is self._queues and name < min(groups[key]):
            self._to_the_end(key)
        if isinstance(tx.payload, Learning):
            self._learning_of[tx.sender] -= 1
            self._ready.pop(type(tx.payload), None)
        else:
            self.account_changes += 1

    # --- inside -----------------------------------------------------------------------------

    def _is_copy(self, tx: Transaction) -> bool:
        """Note an update's file; whether another has the same, of which a block holds one.

        Members who conspired may commit to one file.
        """
        if not isinstance(tx.payload, ModelUpdate):
            return False
        known = tx.payload.cid in self._ready_cids
        self._ready_cids.add(tx.payload.cid)
        return known

    def _note_ready(self, tx: Transaction, state: State) -> None:
        """Keep what is valid up to date: to find it anew for each update takes n² steps."""
        kind = type(tx.payload)
        if not issubclass(kind, Learning) or not learns_alike(self._ready_by, state):
            return
        ready = self._ready.get(kind)
        if ready is not None and not self._is_copy(tx):
            self._ready[kind] = (*ready, tx)

    def _check_account(self, tx: Transaction, state: State) -> None:
        expected = state.next_sequence(tx.sender)
        with suppress(NotYetValid):  # what fills a gap may come
            check_sequence(state, tx)
        if tx.sequence - expected > MAX_SEQUENCE_GAP:
            raise NotYetValid(f"sequence {tx.sequence} of {tx.sender} is far ahead of {expected}")
        queue = self._queues.get(tx.sender, {})
        if tx.sequence in queue:
            raise SequenceTaken(
                f"the pool holds another transaction of {tx.sender} with sequence {tx.sequence}"
            )
        if len(queue) >= MAX_PER_SENDER:
            raise PoolFull(f"the pool holds {len(queue)} transactions of {tx.sender}")

    def _check_learning(self, tx: Transaction, payload: Learning, state: State) -> None:
        check_sequence(state, tx)
        round_ = self._rounds.get(payload.round, {})
        if tx.sender in round_:
            raise DuplicateLearning(
                f"the pool holds another {payload.KIND} of {tx.sender} for iteration "
                f"{payload.iteration}"
            )
        if self._learning_of[tx.sender] >= MAX_LEARNING_PER_SENDER:
            raise PoolFull(f"the pool holds {MAX_LEARNING_PER_SENDER} updates of {tx.sender}")
        # Without commitments a copy is told from the original by who came first.
        if state.policy.commit_reveal or not isinstance(payload, ModelUpdate):
            return
        for other in round_.values():
            if isinstance(other.payload, ModelUpdate) and other.payload.cid == payload.cid:
                raise DuplicateLearning(
                    f"the update {payload.cid} of {tx.sender} is {other.sender}'s too"
                )

    def _place(self, tx: Transaction) -> tuple[dict[Any, dict[Any, Transaction]], Any, Any]:
        """Where a transaction waits: among queues or rounds, in which one, and under which key."""
        if isinstance(tx.payload, Learning):
            return self._rounds, tx.payload.round, tx.sender
        return self._queues, tx.sender, tx.sequence

    def _to_the_end(self, sender: str) -> None:
        """Let an account wait for its turn: another transaction of it is the next one now.

        So nobody keeps a place with many, or with a number that can't come yet.
        """
        self._queues[sender] = self._queues.pop(sender)

    def _insert(self, tx: Transaction) -> None:
        groups, key, name = self._place(tx)
        group = groups.setdefault(key, {})
        group[name] = tx
        if groups is self._queues and name == min(group):
            self._to_the_end(key)
        self._by_hash[tx.hash] = tx
        if isinstance(tx.payload, Learning):
            self._learning_of[tx.sender] += 1
        else:
            self.account_changes += 1
