"""What this vehicle has said itself: signed, kept until the chain has it, and said again."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from bift_ros.chain.exceptions import NotKept
from bift_ros.consensus.encoding import decode, encode
from bift_ros.consensus.exceptions import InvalidTransaction, SequenceUsed
from bift_ros.consensus.payloads import Learning, Payload, WithdrawFile
from bift_ros.consensus.transactions import Transaction, sign_transaction
from bift_ros.peer.context import Context
from bift_ros.peer.effects import BroadcastTransaction
from bift_ros.peer.notes import recall

_NOTE = "own transactions"
_NOTHING = WithdrawFile("nothing")
"""Changes nothing, where no file of this name is shared, but takes a number of the account."""


class OwnTransactions:
    """This vehicle's transactions that are in the mempool."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._own: dict[bytes, Transaction] = {}
        self._sent_at: dict[bytes, int] = {}
        self._remembered = True
        """Whether the store holds what a crash must not lose."""

    def recall(self) -> None:
        """Take up again what the account had pending before a restart."""
        context = self._context
        pending = recall(context, _NOTE, _read_pending) or []
        for left in context.chain.beside():  # maybe just before the power failed
            own = (t for t in left.body.transactions if t.sender == context.key.address)
            pending += (t for t in own if not isinstance(t.payload, Learning))
        context.mempool.restore(pending)  # what can't be paid for just now waits
        for transaction, reason in context.mempool.prune(context.state):
            if not isinstance(reason, SequenceUsed):
                self.dropped(transaction, reason)
        self.restored(t for t in pending if t.hash in context.mempool)

    def submit(self, payload: Payload) -> Transaction:
        """Sign a transaction of this vehicle, keep it pending and send it.

        Raises InvalidTransaction where it does not fit the chain as this vehicle knows it, or can't
        be kept over a restart.
        """
        context = self._context
        state = context.state
        if isinstance(payload, Learning):
            sequence = payload.iteration
        else:
            sequence = context.mempool.next_sequence(context.key.address, state)
        transaction = sign_transaction(context.key, sequence, payload, context.genesis.hash)
        context.mempool.add(transaction, state, context.genesis)
        self._own[transaction.hash] = transaction
        if not self._remember() and not isinstance(payload, Learning):
            del self._own[transaction.hash]
            context.mempool.remove(transaction)
            raise NotKept("the chain's store can't keep it just now: is the disk full?")
        self._send(transaction)
        return transaction

    def restored(self, transactions: Iterable[Transaction]) -> None:
        """Own ones among these are pending again: the fleet is to hear of them."""
        for transaction in transactions:
            if transaction.sender == self._context.key.address:
                self._own[transaction.hash] = transaction

    def dropped(self, transaction: Transaction, reason: InvalidTransaction) -> None:
        """The mempool has given one up; the owner is to know why."""
        name = transaction.hash.hex()
        self._context.refuse(
            "transaction", name, transaction.sender, f"transaction {name[:12]}: {reason}"
        )
        if not isinstance(transaction.payload, Learning) and self._holds_up(transaction):
            with suppress(InvalidTransaction):  # such as of one who is no member any more
                self.submit(_NOTHING)

    def _holds_up(self, dropped: Transaction) -> bool:
        """Whether others of the account wait for the number that has become free.

        They are signed and sent: under other numbers they might count twice.
        """
        return any(
            other.sequence > dropped.sequence and other.sender == dropped.sender
            for name, other in self._own.items()
            if name in self._context.mempool and not isinstance(other.payload, Learning)
        )

    def send_again(self) -> None:
        """Send what is still pending after a while: a radio loses things."""
        context = self._context
        gone = [name for name in self._own if name not in context.mempool]
        for name in gone:
            del self._own[name]
            self._sent_at.pop(name, None)
        if gone or not self._remembered:
            self._remember()
        for name, transaction in self._own.items():
            if context.now - self._sent_at.get(name, 0) >= context.config.rebroadcast_ms:
                self._send(transaction)

    def _remember(self) -> bool:
        """Keep the account's over a crash. What the trainer says can be said anew."""
        pending = [t.to_bytes() for t in self._own.values() if not isinstance(t.payload, Learning)]
        note = encode(pending)
        known = self._context.chain.store.note(_NOTE) or encode([])
        self._remembered = note == known or self._context.write_note(_NOTE, note)
        return self._remembered

    def _send(self, transaction: Transaction) -> None:
        self._sent_at[transaction.hash] = self._context.now
        self._context.emit(BroadcastTransaction(transaction))


def _read_pending(note: bytes) -> list[Transaction]:
    return [Transaction.from_bytes(data) for data in decode(note)]
