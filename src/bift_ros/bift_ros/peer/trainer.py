"""When this vehicle trains, and how its update becomes a transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bift_ros.chain.exceptions import FieldError, InvalidTransaction
from bift_ros.chain.state import State
from bift_ros.chain.transactions import ModelUpdate, Payload, Transaction, sign_transaction
from bift_ros.peer.context import Context
from bift_ros.peer.effects import BroadcastTransaction, CancelTraining, Train, TrainingRequest
from bift_ros.peer.events import Trained, TrainingFailed


@dataclass(frozen=True)
class _Result:
    request: TrainingRequest
    cid: str
    accuracy: float
    sample_count: int


class Trainer:
    """Keeps at most one training running: the one for the global model on the tip."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._samples = 0
        self._running: TrainingRequest | None = None
        self._failed: TrainingRequest | None = None
        self._result: _Result | None = None
        self._own: dict[bytes, Transaction] = {}
        """This vehicle's transactions in the mempool."""
        self._sent_at: dict[bytes, int] = {}

    def dataset_changed(self, samples: int) -> None:
        """The dataset holds this many training samples now."""
        self._samples = samples

    def trained(self, event: Trained) -> None:
        """Keep a finished training's update for as long as the chain waits for it."""
        if event.request == self._running:
            self._running = None
            self._result = _Result(event.request, event.cid, event.accuracy, event.sample_count)

    def failed(self, event: TrainingFailed) -> None:
        """Publish nothing; the next global model is the next chance."""
        if event.request == self._running:
            self._running = None
            self._failed = event.request
            name = f"{event.request.base_cid}/{event.request.iteration}"
            self._context.refuse("training", name, self._context.key.address, event.reason)

    def advance(self) -> None:
        """Start, cancel or publish, as the tip asks."""
        state = self._context.chain.tip_state
        wanted = self._wanted(state)
        if self._running is not None and self._running != wanted:
            self._running = None
            self._context.emit(CancelTraining())
        if wanted is not None and wanted != self._failed and not self._published(state):
            if self._result is not None and self._result.request == wanted:
                self._publish(self._result)
            elif self._running is None and self._samples > 0:
                self._start(wanted)
        self._rebroadcast()

    def submit(self, payload: Payload) -> Transaction:
        """Sign a transaction of this vehicle, keep it pending and send it.

        Raises InvalidTransaction where it does not fit the chain as this vehicle knows it.
        """
        context = self._context
        state = context.chain.tip_state
        sequence = context.mempool.next_sequence(context.key.address, state)
        transaction = sign_transaction(context.key, sequence, payload, context.genesis.hash)
        context.mempool.add(transaction, state, context.genesis)
        self.restored([transaction])
        self._send(transaction)
        return transaction

    def restored(self, transactions: Iterable[Transaction]) -> None:
        """Own ones among these are pending, maybe again: the fleet is to hear of them."""
        for transaction in transactions:
            if transaction.sender == self._context.key.address:
                self._own[transaction.hash] = transaction

    def _wanted(self, state: State) -> TrainingRequest | None:
        task, config = state.task, self._context.config
        if task is None or not config.train:
            return None
        if task.proposal.architecture not in config.allowed_architectures:
            self._context.refuse(
                "training",
                task.proposal.model_id,
                task.proposer,
                f"architecture {task.proposal.architecture!r} of task {task.proposal.model_id!r} "
                "is not among this vehicle's allowed architectures",
            )
            return None
        return TrainingRequest(task.proposal, task.current_iter + 1, task.global_cid)

    def _start(self, request: TrainingRequest) -> None:
        """Train once the global model is here, which checking the next block needs too."""
        if not self._context.need([request.base_cid], ()):
            self._running = request
            self._context.emit(Train(request))

    def _published(self, state: State) -> bool:
        """Whether an update of this vehicle for the wanted iteration is pending."""
        own = self._context.key.address
        return any(t.sender == own for t in self._context.mempool.updates(state))

    def _publish(self, result: _Result) -> None:
        request = result.request
        try:
            self.submit(
                ModelUpdate(
                    model_id=request.task.model_id,
                    iteration=request.iteration,
                    base_cid=request.base_cid,
                    cid=result.cid,
                    accuracy=result.accuracy,
                    sample_count=result.sample_count,
                )
            )
        except (FieldError, InvalidTransaction) as error:  # such as a copy that came first
            self._failed = request
            own = self._context.key.address
            self._context.refuse("update", result.cid, own, f"own update {result.cid}: {error}")

    def _rebroadcast(self) -> None:
        """Send own transactions again that are still pending: a radio loses things."""
        context = self._context
        self._own = {h: t for h, t in self._own.items() if h in context.mempool}
        self._sent_at = {h: at for h, at in self._sent_at.items() if h in self._own}
        for name, transaction in self._own.items():
            if context.now - self._sent_at.get(name, 0) >= context.config.rebroadcast_ms:
                self._send(transaction)

    def _send(self, transaction: Transaction) -> None:
        self._sent_at[transaction.hash] = self._context.now
        self._context.emit(BroadcastTransaction(transaction))
