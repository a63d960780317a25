"""Local training, carried out by the worker process: one at a time, the newest."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from bift_msgs.msg import TrainingProgress

from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import LearningError
from bift_ros.learning.jobs import EpochProgress, TrainingConfig, TrainJob, TrainResult
from bift_ros.nodes import parameters, qos
from bift_ros.nodes.quiet_node import QuietNode
from bift_ros.nodes.vehicle.steps import when_done
from bift_ros.nodes.vehicle.vehicle_storage import keep
from bift_ros.peer.effects import TrainingRequest
from bift_ros.peer.events import Trained, TrainingFailed
from bift_ros.peer.machine import Peer
from bift_ros.storage.interface import Storage, StorageError

_Value = TypeVar("_Value")


class TrainerNode(QuietNode):
    """Trains for the peer of this process and publishes `training/progress`.

    No interface of ROS starts, cancels or answers a training: what it gives is signed.
    Every step runs in the executor's thread; files and the worker take theirs elsewhere.
    """

    def __init__(
        self,
        storage: Storage,
        dataset: Path,
        allowed_architectures: tuple[str, ...],
        malicious: str = "",
    ) -> None:
        super().__init__("trainer")
        settings = parameters.declare(self, parameters.TRAINER)
        self._storage, self._dataset, self._seed = storage, dataset, settings["seed"]
        # Beside the executor's thread, which a daemon's store may keep waiting.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="trainer-files")
        honest = ("bift_ros.learning.worker",)
        attacking = ("bift_ros.attacks.worker", "--attack", malicious)
        self.gpu_limit_mb: int = settings["gpu_memory_mb"]
        self.worker = TrainingWorker(
            device=settings["device"],
            threads=settings["threads"],
            memory_mb=self.gpu_limit_mb,
            allowed_architectures=allowed_architectures,
            program=attacking if malicious else honest,
        )
        self._progress = self.create_publisher(TrainingProgress, "training/progress", qos.PROGRESS)
        self._request: TrainingRequest | None = None
        """What is trained for; any other training's steps lead nowhere."""
        self._job: Future[TrainResult] | None = None
        self.epoch, self.loss, self.update_bytes = 0, 0.0, 0

    @property
    def running(self) -> bool:
        """Whether a training is wanted that has not ended."""
        return self._request is not None

    def start(self) -> None:
        """Start the worker process; importing torch takes it some seconds."""
        self.worker.start()

    def stop(self) -> None:
        """End the worker process."""
        self.worker.close()
        self._pool.shutdown(cancel_futures=True)

    def train(
        self,
        request: TrainingRequest,
        peer: Peer,
        on_end: Callable[[Trained | TrainingFailed], None],
    ) -> None:
        """Train for this request instead of any other; `peer` reads and writes model files."""
        self.cancel()
        self._request, task = request, request.task
        # A training takes long: its end may find the key gone, until the members have another.
        state = peer.state

        def train(file: bytes) -> None:
            config = TrainingConfig(
                local_epochs=task.local_epochs,
                batch_size=task.batch_size,
                learning_rate=task.learning_rate,
                optimizer=task.optimizer,
                seed=self._seed * 100_000 + request.iteration,
            )
            job = TrainJob(peer.decrypt(file), self._dataset, config, task.architecture)
            self._job = self.worker.submit(job, lambda progress: self._on_epoch(request, progress))
            then(self._job, store)

        def store(result: TrainResult) -> None:
            def end(cid: str) -> Trained:
                return Trained(request, cid, result.accuracy, result.sample_count)

            self.update_bytes = len(result.update)
            update = peer.encrypt(state, result.update)
            then(self._pool.submit(keep, self._storage, update), end)

        def then(work: Future[_Value], step: Callable[[_Value], Trained | None]) -> None:
            """Go on once `work` is done; a step that gives the end is the last one."""

            def go_on(done: Future[_Value]) -> None:
                if request is not self._request:
                    return
                end: Trained | TrainingFailed | None
                try:
                    end = step(done.result())
                except (LearningError, StorageError, OSError, ValueError) as error:
                    end = TrainingFailed(request, str(error))
                if end is not None:
                    self._request = self._job = None
                    on_end(end)

            when_done(self, work, go_on)

        then(self._pool.submit(self._storage.get, request.base_cid), train)

    def cancel(self) -> None:
        """Want no training; the end of one that runs is not reported."""
        job, self._request, self._job = self._job, None, None
        if job is not None and not job.cancel() and job.running():
            self.worker.cancel()

    def _on_epoch(self, request: TrainingRequest, progress: EpochProgress) -> None:
        if request is not self._request:  # cancelled after the worker took it, before it ran
            self.worker.cancel()
            return
        self.epoch, self.loss = progress.epoch, progress.loss
        message = TrainingProgress(
            model_id=request.task.model_id,
            iteration=request.iteration,
            epoch=progress.epoch,
            local_epochs=progress.epochs,
            loss=progress.loss,
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._progress.publish(message)
