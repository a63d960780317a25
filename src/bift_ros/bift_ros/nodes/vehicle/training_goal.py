"""One goal of the `train` action, from the global model's file to the update's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, TypeVar

from bift_msgs.action import Train
from rclpy.node import Node

from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import LearningError
from bift_ros.learning.jobs import EpochProgress, TrainingConfig, TrainJob, TrainResult
from bift_ros.nodes.vehicle.steps import when_done
from bift_ros.peer.machine import Peer
from bift_ros.storage.interface import Storage, StorageError

_Value = TypeVar("_Value")


def keep(storage: Storage, file: bytes) -> str:
    """Keep a file for good; its CID. Raises StorageError."""
    cid = storage.put(file)
    storage.pin(cid)
    return cid


class TrainingGoal:
    """Every step runs in the executor's thread; files and training take theirs elsewhere."""

    def __init__(
        self,
        node: Node,
        goal: Train.Goal,
        peer: Peer,
        storage: Storage,
        pool: Executor,
        worker: TrainingWorker,
        on_end: Callable[[Train.Result], None],
    ) -> None:
        """`pool` reads and writes files; `on_end` is told what to answer."""
        self._node, self._goal, self._peer, self._storage = node, goal, peer, storage
        self._pool, self._worker, self._on_end = pool, worker, on_end
        # A training takes long: its end may find the key gone, until the members have another.
        self._state = peer.state
        self.update_bytes = 0

    def begin(self, dataset: Path, seed: int, on_epoch: Callable[[EpochProgress], None]) -> None:
        """Fetch the global model, train on the dataset, and keep the update."""
        goal = self._goal

        def train(file: bytes) -> None:
            config = TrainingConfig(
                local_epochs=goal.epochs,
                batch_size=goal.batch_size,
                learning_rate=goal.learning_rate,
                optimizer=goal.optimizer,
                seed=seed * 100_000 + goal.iteration,
            )
            job = TrainJob(self._peer.decrypt(file), dataset, config, goal.architecture)
            self._then(self._worker.submit(job, on_epoch), self._keep)

        self._then(self._pool.submit(self._storage.get, goal.global_cid), train)

    def _keep(self, result: TrainResult) -> None:
        self.update_bytes = len(result.update)
        update = self._peer.encrypt(self._state, result.update)

        def end(cid: str) -> None:
            self._on_end(
                Train.Result(cid=cid, accuracy=result.accuracy, sample_count=result.sample_count)
            )

        self._then(self._pool.submit(keep, self._storage, update), end)

    def _then(self, work: Future[_Value], step: Callable[[_Value], Any]) -> None:
        def go_on(done: Future[_Value]) -> None:
            try:
                step(done.result())
            except (LearningError, StorageError, ValueError) as error:
                self._on_end(Train.Result(error=str(error)))

        when_done(self._node, work, go_on)
