"""Local training as a ROS action, carried out by the worker process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bift_msgs.action import Train
from bift_msgs.msg import TrainingProgress
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle

from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.jobs import EpochProgress
from bift_ros.nodes import parameters, qos
from bift_ros.nodes.quiet_node import QuietNode
from bift_ros.nodes.vehicle.training_goal import TrainingGoal
from bift_ros.peer.machine import Peer
from bift_ros.storage.interface import Storage


class TrainerNode(QuietNode):
    """Serves `train`: fetches the global model, trains on the dataset, stores the update."""

    def __init__(
        self,
        peer: Peer,
        storage: Storage,
        dataset: Path,
        allowed_architectures: tuple[str, ...],
        malicious: str = "",
    ) -> None:
        super().__init__("trainer")
        settings = parameters.declare(self, parameters.TRAINER)
        self._peer, self._storage = peer, storage
        self._dataset, self._seed = dataset, settings["seed"]
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
        self._server = ActionServer(
            self,
            Train,
            "train",
            # A goal is accepted as long as it is trained for, and executed once it has its result:
            # rclpy would have it wait in a coroutine.
            execute_callback=self._end,
            handle_accepted_callback=self._begin,
            goal_callback=lambda _: GoalResponse.ACCEPT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        self._results: dict[bytes, Train.Result] = {}
        """Of goals that are to be answered, by their IDs."""
        self.epoch, self.loss, self.update_bytes = 0, 0.0, 0

    def start(self) -> None:
        """Start the worker process; importing torch takes it some seconds."""
        self.worker.start()

    def stop(self) -> None:
        """End the worker process."""
        self.worker.close()
        self._pool.shutdown(cancel_futures=True)

    def _begin(self, handle: ServerGoalHandle) -> None:
        def end(result: Train.Result) -> None:
            self._results[bytes(handle.goal_id.uuid)] = result
            self.update_bytes = training.update_bytes or self.update_bytes
            handle.execute()

        training = TrainingGoal(
            self, handle.request, self._peer, self._storage, self._pool, self.worker, end
        )
        training.begin(self._dataset, self._seed, lambda epoch: self._on_epoch(handle, epoch))

    def _end(self, handle: ServerGoalHandle) -> Train.Result:
        """Answer a goal whose training has ended."""
        result = self._results.pop(bytes(handle.goal_id.uuid))
        if not result.error:
            handle.succeed()
        elif handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()
        return result

    def _on_epoch(self, handle: ServerGoalHandle, progress: EpochProgress) -> None:
        goal = handle.request
        self.epoch, self.loss = progress.epoch, progress.loss
        handle.publish_feedback(Train.Feedback(epoch=progress.epoch, loss=progress.loss))
        message = TrainingProgress(
            model_id=goal.model_id,
            iteration=goal.iteration,
            epoch=progress.epoch,
            local_epochs=progress.epochs,
            loss=progress.loss,
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._progress.publish(message)
        if handle.is_cancel_requested:
            self.worker.cancel()
