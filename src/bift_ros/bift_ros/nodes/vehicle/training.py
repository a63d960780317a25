"""One local training, from the global model's file to the update's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TypeVar

from rclpy.node import Node

from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import LearningError
from bift_ros.learning.jobs import EpochProgress, TrainingConfig, TrainJob, TrainResult
from bift_ros.nodes.vehicle.steps import when_done
from bift_ros.peer.effects import TrainingRequest
from bift_ros.peer.events import Trained, TrainingFailed
from bift_ros.peer.machine import Peer
from bift_ros.storage.interface import Storage, StorageError

_Value = TypeVar("_Value")


def keep(storage: Storage, file: bytes) -> str:
    """Keep a file for good; its CID. Raises StorageError."""
    cid = storage.put(file)
    storage.pin(cid)
    return cid


class Training:
    """Every step runs in the executor's thread; files and training take theirs elsewhere."""

    def __init__(
        self,
        node: Node,
        request: TrainingRequest,
        peer: Peer,
        storage: Storage,
        pool: Executor,
        worker: TrainingWorker,
        on_end: Callable[[Trained | TrainingFailed], None],
    ) -> None:
        """`pool` reads and writes files; `on_end` is told how it ends, unless it is cancelled."""
        self._node, self._request, self._peer, self._storage = node, request, peer, storage
        self._pool, self._worker, self._on_end = pool, worker, on_end
        # A training takes long: its end may find the key gone, until the members have another.
        self._state = peer.state
        self._job: Future[TrainResult] | None = None
        self._cancelled = False
        self.update_bytes = 0

    def begin(self, dataset: Path, seed: int, on_epoch: Callable[[EpochProgress], None]) -> None:
        """Fetch the global model, train on the dataset, and keep the update."""
        request, task = self._request, self._request.task

        def tell(progress: EpochProgress) -> None:
            if self._cancelled:  # since the worker took the job, but before it ran
                self._worker.cancel()
            else:
                on_epoch(progress)

        def train(file: bytes) -> None:
            config = TrainingConfig(
                local_epochs=task.local_epochs,
                batch_size=task.batch_size,
                learning_rate=task.learning_rate,
                optimizer=task.optimizer,
                seed=seed * 100_000 + request.iteration,
            )
            job = TrainJob(self._peer.decrypt(file), dataset, config, task.architecture)
            self._job = self._worker.submit(job, tell)
            self._then(self._job, self._keep)

        self._then(self._pool.submit(self._storage.get, request.base_cid), train)

    def cancel(self) -> None:
        """End it as soon as can be, and tell nobody."""
        self._cancelled = True
        if self._job is not None and not self._job.cancel() and self._job.running():
            self._worker.cancel()

    def _keep(self, result: TrainResult) -> None:
        self.update_bytes = len(result.update)
        update = self._peer.encrypt(self._state, result.update)

        def end(cid: str) -> Trained:
            return Trained(self._request, cid, result.accuracy, result.sample_count)

        self._then(self._pool.submit(keep, self._storage, update), end)

    def _then(self, work: Future[_Value], step: Callable[[_Value], Trained | None]) -> None:
        """Go on once `work` is done; a step that gives the end is the last one."""

        def go_on(done: Future[_Value]) -> None:
            if self._cancelled:
                return
            end: Trained | TrainingFailed | None
            try:
                end = step(done.result())
            except (LearningError, StorageError, OSError, ValueError) as error:
                end = TrainingFailed(self._request, str(error))
            if end is not None:
                self._on_end(end)

        when_done(self._node, work, go_on)
