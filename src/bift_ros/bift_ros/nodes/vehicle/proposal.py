"""Proposes the task of a vehicle's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.payloads import ProposeTask
from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import LearningError
from bift_ros.learning.jobs import InitJob, InitResult
from bift_ros.nodes.vehicle.peer_node import PeerNode
from bift_ros.nodes.vehicle.steps import when_done
from bift_ros.nodes.vehicle.vehicle_storage import keep
from bift_ros.storage.interface import Storage, StorageError

_KEY_POLL_SECONDS = 0.5


class Proposal:
    """Makes an initial model and proposes the task, in the executor's thread."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        rule: str,
        peer: PeerNode,
        storage: Storage,
        worker: TrainingWorker,
    ) -> None:
        """`rule` is the task's where the settings name none."""
        self._settings, self._rule = settings, rule
        self._peer, self._storage, self._worker = peer, storage, worker

    def begin(self) -> None:
        """Propose it, unless the chain has had a task."""
        if self._peer.peer.state.latest_task is None:
            job = InitJob(self._settings["task.seed"], self._settings["task.architecture"])
            when_done(self._peer, self._worker.submit(job), self._made)

    def _made(self, done: Future[InitResult]) -> None:
        def submit() -> None:
            settings = self._settings
            peer = self._peer.peer
            cid = keep(self._storage, peer.encrypt(peer.state, done.result().model))
            self._peer.submit(
                ProposeTask(
                    model_id=settings["task.model_id"],
                    init_cid=cid,
                    total_iter=settings["task.total_iter"],
                    rule=settings["task.rule"] or self._rule,
                    architecture=settings["task.architecture"],
                    local_epochs=settings["task.local_epochs"],
                    batch_size=settings["task.batch_size"],
                    learning_rate=settings["task.learning_rate"],
                    optimizer=settings["task.optimizer"],
                )
            )

        self._once_models_can_be_written(submit)

    def _once_models_can_be_written(self, then: Callable[[], None]) -> None:
        """At once, or when the chain has brought the key that it takes."""
        if not self._peer.peer.can_write_models:
            self._peer.once(_KEY_POLL_SECONDS, lambda: self._once_models_can_be_written(then))
            return
        try:
            then()
        except (LearningError, ChainError, StorageError) as error:
            self._peer.get_logger().error(
                f"cannot propose the task {self._settings['task.model_id']!r}: {error}"
            )
