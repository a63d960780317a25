"""Transactions that wait for a block: bounded, checked on arrival, in a deterministic order.

Account transactions (transfers, proposals) queue by sender and sequence number. Learning
transactions (commits, updates) have no such order: they lie in rounds, one for each task,
iteration and base model, with one commit and one update a member.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from bift_ros.chain.exceptions import AlreadyKnown, PoolFull, SequenceTaken
from bift_ros.consensus.blocks import MAX_BLOCK_BYTES
from bift_ros.consensus.exceptions import (
    DuplicateLearning,
    InsufficientBalance,
    InvalidTransaction,
    NotYetValid,
    SequenceUsed,
)
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.payloads import (
    Learning,
    ModelCommit,
    ModelUpdate,
    RoundKey,
)
from bift_ros.consensus.state import State
from bift_ros.consensus.transaction_rules import (
    apply_transaction,
    check_payload,
    check_round,
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


@dataclass
class _Round:
    """A key names either commits or updates, so one of the two is always empty."""

    commits: dict[str, Transaction] = field(default_factory=dict)
    """By sender."""
    updates: dict[str, Transaction] = field(default_factory=dict)
    """By sender."""

    def of(self, payload: Learning) -> dict[str, Transaction]:
        return self.commits if isinstance(payload, ModelCommit) else self.updates


class Mempool:
    """A vehicle's pool. It keeps no state of the chain: the caller passes the tip's."""

    def __init__(self, max_transactions: int = MAX_TRANSACTIONS) -> None:
        self._max_transactions = max_transactions
        self._queues: dict[str, dict[int, Transaction]] = {}
        self.account_changes = 0
        """How often an account's transaction has come or gone."""
        self._rounds: dict[RoundKey, _Round] = {}
        self._learning_of: dict[str, int] = {}
        """How many learning transactions each sender has here."""
        self._by_hash: dict[bytes, Transaction] = {}
        self._pruned_by: State | None = None
        """What all learning here was last judged by; None where some of it was not."""
        self._ready_by: State | None = None
        self._ready: dict[type[Learning], tuple[Transaction, ...]] = {}
        """The learning that is valid after that state, as far as it was asked for."""
        self._ready_cids: set[str] = set()
        """The files of its updates. Members who conspired may name the same."""

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
        if tx.hash in self._by_hash:
            raise AlreadyKnown(f"transaction {tx.hash.hex()[:16]}… is in the pool")
        check_signature(tx, genesis, state.members)
        if isinstance(tx.payload, Learning):
            self._check_learning(tx, tx.payload, state)
        else:
            self._check_account(tx, state)
        if len(self) >= self._max_transactions:
            raise PoolFull(f"the pool holds {len(self)} transactions")
        fits, reason = _judge(state, tx)
        if reason is not None:
            raise reason
        if not fits:
            _check_affordable(state, tx, self._queues.get(tx.sender, {}))
        self._insert(tx)
        if fits:
            self._note_ready(tx, state)

    def restore(self, transactions: Iterable[Transaction]) -> None:
        """Take back what blocks held that a reorganisation removed, in the chain's order.

        They were valid on that branch; a `prune` with the new tip's state must follow. One
        whose place the pool has given to another is left out.
        """
        for tx in transactions:
            if not self._place_taken(tx):
                self._insert(tx)
                self._ready.clear()
                self._pruned_by = None

    def prune(self, state: State) -> list[tuple[Transaction, InvalidTransaction]]:
        """Drop what can't become valid on top of `state`; give each with the reason.

        The reason is SequenceUsed for an account's transaction that the chain holds now (or that
        lost its number to another of the sender). With any other reason, the number is free again.
        """
        dropped: list[tuple[Transaction, InvalidTransaction]] = []
        reason: InvalidTransaction | None
        for tx in list(self._account()):
            if tx.sequence < state.sequences[tx.sender]:
                reason = SequenceUsed(f"sequence {tx.sequence} of {tx.sender} is used")
            else:
                reason = _obstacle(state, tx)
            if reason is not None:
                dropped.append((tx, reason))
        if not _learns_alike(self._pruned_by, state):
            for round_ in self._rounds.values():
                waiting = [*round_.commits.values(), *round_.updates.values()]
                over = _round_obstacle(state, waiting[0])
                for tx in waiting:
                    reason = over or _obstacle(state, tx)
                    if reason is not None:
                        dropped.append((tx, reason))
        self._pruned_by = state
        for tx, _ in dropped:
            self._remove(tx)
        return dropped

    def pending(
        self, state: State, learning: type[ModelCommit] | type[ModelUpdate] | None = None
    ) -> list[Transaction]:
        """Give what the next block can hold, valid in this order and within its size.

        `learning` is the kind of learning that the block may carry. It comes first, so that
        transfers don't crowd it out. The order depends on the pool's content only, not on the
        order of arrival, and favours no member where not all fit.
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
        queues = sorted(self._queues.items())
        progress = True
        while progress:  # a transfer may become affordable through another sender's
            progress = False
            for sender, queue in queues:
                while (tx_ := queue.get(state.sequences[sender])) is not None:
                    size = len(tx_.to_bytes()) + _ITEM_OVERHEAD
                    if size > room or not _fits(state, tx_):
                        break
                    state = apply_transaction(state, tx_)
                    chosen.append(tx_)
                    room -= size
                    progress = True
        return chosen

    def learning(self, state: State, kind: type[Learning]) -> tuple[Transaction, ...]:
        """Give the round's commits or updates that are valid on top of `state`, in any order.

        The very same tuple comes back until something changes.
        """
        if not _learns_alike(self._ready_by, state):
            self._ready.clear()
        self._ready_by = state
        if kind not in self._ready:
            self._ready[kind] = self._valid(state, kind)
        return self._ready[kind]

    def has_learning(self, sender: str, key: RoundKey, kind: type[Learning]) -> bool:
        """Tell whether a member's commit or update of a round waits here."""
        round_ = self._rounds.get(key)
        if round_ is None:
            return False
        return sender in (round_.commits if kind is ModelCommit else round_.updates)

    # --- inside -----------------------------------------------------------------------------

    def _valid(self, state: State, kind: type[Learning]) -> tuple[Transaction, ...]:
        round_ = state.task and self._rounds.get(state.task.round(kind))
        if not round_:
            self._ready_cids = set()
            return ()
        waiting = round_.commits if kind is ModelCommit else round_.updates
        chosen: list[Transaction] = []
        cids: set[str] = set()
        for tx in sorted(waiting.values(), key=lambda tx: tx.hash):
            if not _fits(state, tx):
                continue
            if isinstance(tx.payload, ModelUpdate):  # of two with one file, a block holds one
                if tx.payload.cid in cids:
                    continue
                cids.add(tx.payload.cid)
            chosen.append(tx)
        self._ready_cids = cids if kind is ModelUpdate else self._ready_cids
        return tuple(chosen)

    def _note_ready(self, tx: Transaction, state: State) -> None:
        """Keep what is valid up to date: to find it anew for each update takes n² steps."""
        kind = type(tx.payload)
        if not issubclass(kind, Learning) or not _learns_alike(self._ready_by, state):
            return
        ready = self._ready.get(kind)
        if ready is None:
            return
        if isinstance(tx.payload, ModelUpdate):
            if tx.payload.cid in self._ready_cids:
                return
            self._ready_cids.add(tx.payload.cid)
        self._ready[kind] = (*ready, tx)

    def _check_account(self, tx: Transaction, state: State) -> None:
        expected = state.sequences[tx.sender]
        if tx.sequence < expected:
            raise SequenceUsed(f"sequence {tx.sequence} of {tx.sender} is used, {expected} is next")
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
        round_ = self._rounds.get(payload.round)
        if round_ is not None and tx.sender in round_.of(payload):
            raise DuplicateLearning(
                f"the pool holds another {payload.KIND} of {tx.sender} for iteration "
                f"{payload.iteration}"
            )
        if self._learning_of.get(tx.sender, 0) >= MAX_LEARNING_PER_SENDER:
            raise PoolFull(f"the pool holds {MAX_LEARNING_PER_SENDER} updates of {tx.sender}")
        # Without commitments a copy is told from the original by who came first.
        if round_ is None or state.policy.commit_reveal or not isinstance(payload, ModelUpdate):
            return
        for other in round_.updates.values():
            if isinstance(other.payload, ModelUpdate) and other.payload.cid == payload.cid:
                raise DuplicateLearning(
                    f"the update {payload.cid} of {tx.sender} is {other.sender}'s too"
                )

    def _account(self) -> Iterator[Transaction]:
        for _, queue in sorted(self._queues.items()):
            for sequence in sorted(queue):
                yield queue[sequence]

    def _place_taken(self, tx: Transaction) -> bool:
        if isinstance(tx.payload, Learning):
            round_ = self._rounds.get(tx.payload.round)
            return round_ is not None and tx.sender in round_.of(tx.payload)
        return tx.sequence in self._queues.get(tx.sender, {})

    def _insert(self, tx: Transaction) -> None:
        if isinstance(tx.payload, Learning):
            self._rounds.setdefault(tx.payload.round, _Round()).of(tx.payload)[tx.sender] = tx
            self._learning_of[tx.sender] = self._learning_of.get(tx.sender, 0) + 1
        else:
            self._queues.setdefault(tx.sender, {})[tx.sequence] = tx
            self.account_changes += 1
        self._by_hash[tx.hash] = tx

    def _remove(self, tx: Transaction) -> None:
        if isinstance(tx.payload, Learning):
            round_ = self._rounds[tx.payload.round]
            del round_.of(tx.payload)[tx.sender]
            if not round_.commits and not round_.updates:
                del self._rounds[tx.payload.round]
            self._learning_of[tx.sender] -= 1
            self._ready.pop(type(tx.payload), None)
        else:
            queue = self._queues[tx.sender]
            del queue[tx.sequence]
            self.account_changes += 1
            if not queue:
                del self._queues[tx.sender]
        self._by_hash.pop(tx.hash, None)


def _learns_alike(a: State | None, b: State) -> bool:
    """Whether the same commits and updates are valid: blocks without learning change nothing."""
    return a is not None and a.task is b.task and a.members is b.members


def _round_obstacle(state: State, tx: Transaction) -> InvalidTransaction | None:
    """Give the reason why nothing of the round of `tx` can become valid, if there is one."""
    assert isinstance(tx.payload, Learning)
    try:
        check_round(state, tx.payload)
    except NotYetValid:
        return None
    except InvalidTransaction as error:
        return error
    return None


def _obstacle(state: State, tx: Transaction) -> InvalidTransaction | None:
    """Give the reason why `tx` can't become valid on top of `state`, if there is one."""
    return _judge(state, tx)[1]


def _judge(state: State, tx: Transaction) -> tuple[bool, InvalidTransaction | None]:
    """Tell whether `state` allows `tx` now (its sequence aside), and why it never will."""
    try:
        check_payload(state, tx)
    except (NotYetValid, InsufficientBalance):
        return False, None  # more blocks, or an earlier transaction, may bring what is missing
    except InvalidTransaction as error:
        return False, error
    return True, None


def _check_affordable(state: State, tx: Transaction, queue: Mapping[int, Transaction]) -> None:
    """Refuse what can't be paid after all that its sender's `queue` holds: InsufficientBalance.

    It counts on arrival. What was affordable once waits: a reorganisation may take stake away and
    bring it back, and were the number free again, all that follows it would wait for good.
    """
    if isinstance(tx.payload, Learning):
        return
    while state.sequences[tx.sender] < tx.sequence:
        earlier = queue.get(state.sequences[tx.sender])
        if earlier is None or not _fits(state, earlier):
            return  # what comes before it may bring what is missing
        state = apply_transaction(state, earlier)
    with suppress(NotYetValid):
        check_payload(state, tx)


def _fits(state: State, tx: Transaction) -> bool:
    try:
        check_sequence(state, tx)
        check_payload(state, tx)
    except InvalidTransaction:
        return False
    return True
