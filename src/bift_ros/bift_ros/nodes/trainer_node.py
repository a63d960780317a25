"""Local training as a ROS action, carried out by the worker process."""

from __future__ import annotations

from concurrent.futures import Future as JobFuture
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bift_msgs.action import Train
from bift_msgs.msg import TrainingProgress
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.task import Future

from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import LearningError
from bift_ros.learning.jobs import EpochProgress, TrainingConfig, TrainJob
from bift_ros.nodes import parameters, qos
from bift_ros.nodes.model_files import ModelFiles
from bift_ros.storage.interface import StorageError


class TrainerNode(Node):
    """Serves `train`: fetches the global model, trains on the dataset, stores the update."""

    def __init__(
        self,
        files: ModelFiles,
        dataset: Path,
        allowed_architectures: tuple[str, ...],
        malicious: str = "",
    ) -> None:
        super().__init__("trainer", enable_rosout=False, start_parameter_services=False)
        settings = parameters.declare(self, parameters.TRAINER)
        self._files, self._dataset, self._seed = files, dataset, settings["seed"]
        # Beside the executor's thread, which a daemon's store may keep waiting.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="trainer-files")
        honest = ("bift_ros.learning.worker",)
        attacking = ("bift_ros.attacks.worker", "--attack", malicious)
        self.worker = TrainingWorker(
            device=settings["device"],
            threads=settings["threads"],
            memory_mb=settings["gpu_memory_mb"],
            allowed_architectures=allowed_architectures,
            program=attacking if malicious else honest,
        )
        self._progress = self.create_publisher(TrainingProgress, "training/progress", qos.PROGRESS)
        self._server = ActionServer(
            self,
            Train,
            "train",
            execute_callback=self._execute,
            goal_callback=lambda _: GoalResponse.ACCEPT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )
        self.epoch, self.loss, self.update_bytes = 0, 0.0, 0

    def start(self) -> None:
        """Start the worker process; importing torch takes it some seconds."""
        self.worker.start()

    def stop(self) -> None:
        """End the worker process."""
        self.worker.close()
        self._pool.shutdown(cancel_futures=True)

    async def _execute(self, handle: ServerGoalHandle) -> Train.Result:
        goal, state = handle.request, self._files.state
        try:
            config = TrainingConfig(
                local_epochs=goal.epochs,
                batch_size=goal.batch_size,
                learning_rate=goal.learning_rate,
                optimizer=goal.optimizer,
                seed=self._seed * 100_000 + goal.iteration,
            )
            file = await self.in_executor(self._pool.submit(self._files.read, goal.global_cid))
            model = self._files.decrypt(file)
            job = TrainJob(model, self._dataset, config, goal.architecture)
            future = self.worker.submit(job, lambda progress: self._on_epoch(handle, progress))
            result = await self.in_executor(future)
            update = self._files.encrypt(result.update, state)
            cid = await self.in_executor(self._pool.submit(self._files.keep, update))
        except (LearningError, StorageError, ValueError) as error:
            if handle.is_cancel_requested:
                handle.canceled()
            else:
                handle.abort()
            return Train.Result(error=str(error))
        self.update_bytes = len(result.update)
        handle.succeed()
        return Train.Result(cid=cid, accuracy=result.accuracy, sample_count=result.sample_count)

    async def in_executor(self, job: JobFuture[Any]) -> Any:
        """Wait for a job of another thread without holding this one."""
        waiting = Future(executor=self.executor)
        job.add_done_callback(lambda _: waiting.set_result(None))
        await waiting
        return job.result()

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
