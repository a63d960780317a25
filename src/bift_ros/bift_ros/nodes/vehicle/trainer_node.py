"""Local training, carried out by the worker process: one at a time, the newest."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bift_msgs.msg import TrainingProgress

from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.jobs import EpochProgress
from bift_ros.nodes import parameters, qos
from bift_ros.nodes.quiet_node import QuietNode
from bift_ros.nodes.vehicle.training import Training
from bift_ros.peer.effects import TrainingRequest
from bift_ros.peer.events import Trained, TrainingFailed
from bift_ros.peer.machine import Peer
from bift_ros.storage.interface import Storage


class TrainerNode(QuietNode):
    """Trains for the peer of this process and publishes `training/progress`.

    No interface of ROS starts, cancels or answers a training: what it gives is signed.
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
        self._training: Training | None = None
        self.epoch, self.loss, self.update_bytes = 0, 0.0, 0

    @property
    def running(self) -> bool:
        """Whether a training is wanted that has not ended."""
        return self._training is not None

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
        """Train for this request instead of any other. `peer` reads and writes model files."""

        def ended(event: Trained | TrainingFailed) -> None:
            self._training = None
            self.update_bytes = training.update_bytes or self.update_bytes
            on_end(event)

        self.cancel()
        training = self._training = Training(
            self, request, peer, self._storage, self._pool, self.worker, ended
        )
        training.begin(self._dataset, self._seed, lambda epoch: self._on_epoch(request, epoch))

    def cancel(self) -> None:
        """Want no training; the end of one that runs is not reported."""
        if self._training is not None:
            self._training.cancel()
            self._training = None

    def _on_epoch(self, request: TrainingRequest, progress: EpochProgress) -> None:
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
