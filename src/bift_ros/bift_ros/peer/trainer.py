"""When this vehicle trains, and how its update becomes a commitment and then a transaction."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from bift_ros.consensus.encoding import decode, encode
from bift_ros.consensus.exceptions import FieldError, InvalidTransaction
from bift_ros.consensus.fields import NAME, check_bytes, check_integer, check_list, check_text
from bift_ros.consensus.payloads import (
    HASH_BYTES,
    MAX_ITERATIONS,
    ModelCommit,
    ModelUpdate,
    RoundKey,
    commitment_of,
)
from bift_ros.consensus.state import State, Task
from bift_ros.peer.context import Context
from bift_ros.peer.effects import CancelTraining, Train, TrainingRequest
from bift_ros.peer.events import Trained, TrainingFailed
from bift_ros.peer.notes import recall
from bift_ros.peer.own_transactions import OwnTransactions
from bift_ros.peer.phases import DUTIES, phase_of

_NOTE = "training"
_VOTE = "vote"
_MAXIMUM_RESULTS = 4
"""Finished trainings kept: the chain may come back to a branch that it left."""
_MAXIMUM_DOUBLINGS = 5
"""Of the pause after a training that failed."""


class Trainer:
    """Keeps at most one training running: the one for the global model on the tip."""

    def __init__(self, context: Context, own: OwnTransactions) -> None:
        self._context, self._own = context, own
        self._samples = 0
        self._running: TrainingRequest | None = None
        self._given_up: TrainingRequest | None = None
        """What this vehicle's word was not taken for."""
        self._failed: tuple[TrainingRequest | None, int, int] = (None, 0, 0)
        """What the last training failed for, how often, and when it is tried again."""
        self._results: OrderedDict[RoundKey, ModelUpdate] = OrderedDict()
        """What finished trainings gave, without the salt that it is said with."""
        self._votes: dict[tuple[str, int], tuple[bytes, int]] = {}
        """Task and iteration → the base block that this vehicle was for, and since when."""
        self._seen: State | None = None
        """The tip's state at the last look."""
        self._open = True
        """Whether another look may do more although the tip has not changed."""
        self._unkept: bytes | None = None
        """The last result's note, until the store has it: before that, it is not published."""
        self._committed: tuple[bytes, int] | None = None
        """This vehicle's commitment on the chain, and since when it is there."""

    def recall(self) -> None:
        """Take up the last training that was finished before a restart, and what it was for."""
        self._open = True
        result = recall(self._context, _NOTE, _read_result)
        if result is not None:
            self._results[result.round] = result
        vote = recall(self._context, _VOTE, _read_vote)
        if vote is not None:
            place, (base_block, since) = vote
            # By a clock that has been set back since, it may lie ahead.
            self._votes[place] = (base_block, min(since, self._context.now))

    def dataset_changed(self, samples: int) -> None:
        """The dataset holds this many training samples now."""
        self._samples = samples
        self._open = True

    def trained(self, event: Trained) -> None:
        """Keep a finished training's update, over a restart too, until it is published."""
        if event.request != self._running:
            return
        key = _round_of(event.request)
        try:
            result = ModelUpdate(*key, event.cid, event.accuracy, event.sample_count)
        except FieldError as error:
            self.failed(TrainingFailed(event.request, f"no update can be made of it: {error}"))
            return
        self._running, self._open = None, True
        self._results[key] = result
        if len(self._results) > _MAXIMUM_RESULTS:
            self._results.popitem(last=False)
        values = [*key, result.cid, result.accuracy, result.sample_count]
        self._unkept = encode(values)

    def failed(self, event: TrainingFailed) -> None:
        """Try again later, each time later: a disk has room again, a worker comes back."""
        request, context = event.request, self._context
        if request == self._running:
            self._running, self._open = None, True
            times = self._failed[1] + 1 if request == self._failed[0] else 1
            pause = context.config.training_retry_ms * 2 ** min(times - 1, _MAXIMUM_DOUBLINGS)
            self._failed = (request, times, context.now + pause)
            name = f"{request.base_cid}/{request.iteration}: {event.reason}"
            context.refuse("training", name, context.key.address, event.reason)

    def advance(self) -> None:
        """Start, cancel or publish, as the tip asks."""
        state = self._context.chain.tip_state
        if state is self._seen and not self._open:
            return
        self._seen, self._open = state, False
        wanted = self._wanted(state)
        if self._running is not None and self._running != wanted:
            self._running = None
            self._context.emit(CancelTraining())
        if wanted is None or wanted == self._given_up:
            return
        result = self._results.get(_round_of(wanted))
        if result is not None:
            if self._keep():
                self._publish(state, wanted, result)
            else:
                self._open = True
        elif wanted == self._failed[0] and self._context.now < self._failed[2]:
            self._open = True
        elif self._running is None and self._samples > 0:
            assert state.task is not None
            self._start(state.task, wanted)

    def _keep(self) -> bool:
        if self._unkept is not None and self._context.write_note(_NOTE, self._unkept):
            self._unkept = None
        return self._unkept is None

    def _wanted(self, state: State) -> TrainingRequest | None:
        task, config = state.task, self._context.config
        if task is None or not config.train:
            return None
        if self._context.key.address not in state.members:
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
        request = self._running
        if (
            request is not None
            and request.task is task.proposal
            and request.iteration == task.current_iter + 1
            and request.base_cid == task.global_cid
        ):
            return request
        return TrainingRequest(task.proposal, task.current_iter + 1, task.global_cid)

    def _start(self, task: Task, request: TrainingRequest) -> None:
        """Train once the global model is here, which checking the next block needs too."""
        context = self._context
        missing = context.need_model(task)
        self._open = missing or not context.can_write(context.chain.tip_state)
        if not self._open:
            self._running = request
            self._context.emit(Train(request))

    def _publish(self, state: State, request: TrainingRequest, result: ModelUpdate) -> None:
        """Commit to the update; show it once the commitment is on the chain and has settled."""
        context, task = self._context, state.task
        assert task is not None
        own, policy = context.key.address, context.genesis.policy
        commitment = task.commitments.get(own)
        settled = commitment is not None and self._settled(commitment)
        phase = phase_of(task, policy, committed=commitment is not None, settled=settled)
        kind = DUTIES[phase].says
        if kind is None:
            self._open = True
            return
        if context.mempool.has_learning(own, task.round(kind)):
            return
        self._open = commitment is None and not self._votes_for(task)
        if self._open:
            return
        salt = b""
        if policy.commit_reveal:
            salt = context.key.derive(b"bift salt" + context.genesis.hash + result.cid.encode())
        if kind is ModelCommit:
            seal = commitment_of(result.cid, salt, own)
            self._say(request, ModelCommit(*result.round, task.base_block, seal))
        else:
            self._say(request, replace(result, salt=salt))

    def _votes_for(self, task: Task) -> bool:
        """Whether this vehicle may speak for the branch with this base block; it is bound to it.

        Were a commitment given to two branches of one iteration, both might grow as if most members
        stood there. So it is given to another one only after a dispute about the first must have
        ended. A restarted vehicle finds its vote in the store.
        """
        context, place = self._context, (task.model_id, task.current_iter + 1)
        vote = self._votes.get(place)
        if vote is not None and vote[0] == task.base_block:
            return True
        if vote is not None and context.now - vote[1] < context.config.dispute_ms:
            return False
        note = encode([*place, task.base_block, context.now])
        if not context.write_note(_VOTE, note):
            return False
        self._votes[place] = (task.base_block, context.now)
        if len(self._votes) > _MAXIMUM_RESULTS:
            del self._votes[next(iter(self._votes))]
        return True

    def _settled(self, commitment: bytes) -> bool:
        """Whether other members have had the time to hear that the commits are closed."""
        if self._committed is None or self._committed[0] != commitment:
            self._committed = (commitment, self._context.now)
        return self._context.now - self._committed[1] >= self._context.config.reveal_delay_ms

    def _say(self, request: TrainingRequest, payload: ModelCommit | ModelUpdate) -> None:
        context = self._context
        try:
            self._own.submit(payload)
        except (FieldError, InvalidTransaction) as error:  # such as a copy that came first
            self._given_up = request
            what = "commit" if isinstance(payload, ModelCommit) else "update"
            name = f"{request.base_cid}/{request.iteration}"
            context.refuse(what, name, context.key.address, f"own {what} for {name}: {error}")


def _round_of(request: TrainingRequest) -> RoundKey:
    return RoundKey(request.task.model_id, request.iteration, request.base_cid)


def _read_result(note: bytes) -> ModelUpdate:
    return ModelUpdate(*check_list(_NOTE, decode(note), 6))


def _read_vote(note: bytes) -> tuple[tuple[str, int], tuple[bytes, int]]:
    model_id, iteration, base_block, since = check_list(_VOTE, decode(note), 4)
    check_text("model_id", model_id, NAME)
    check_integer("iteration", iteration, 1, MAX_ITERATIONS)
    check_bytes("base_block", base_block, HASH_BYTES, HASH_BYTES)
    check_integer("since", since, 0)
    return (model_id, iteration), (base_block, since)
