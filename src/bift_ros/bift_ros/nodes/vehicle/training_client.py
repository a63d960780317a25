"""The consensus side of the `train` action: one training at a time, the newest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bift_msgs.action import Train
from rclpy.action import ActionClient
from rclpy.node import Node

from bift_ros.peer.effects import TrainingRequest
from bift_ros.peer.events import Trained, TrainingFailed


class TrainingClient:
    """Sends goals and reports how they ended. Runs in the executor's thread."""

    def __init__(self, node: Node, on_end: Callable[[Trained | TrainingFailed], None]) -> None:
        self._client = ActionClient(node, Train, "train")
        self._on_end = on_end
        self._wanted: TrainingRequest | None = None
        self._sent = False
        self._goal: Any = None

    @property
    def running(self) -> bool:
        """Whether a training is wanted that has not ended."""
        return self._wanted is not None

    def start(self, request: TrainingRequest) -> None:
        """Train for this request instead of any other."""
        self.cancel()
        self._wanted = request
        self.poll()

    def cancel(self) -> None:
        """Want no training; one that runs is cancelled and its end not reported."""
        self._wanted, self._sent = None, False
        if self._goal is not None:
            self._goal.cancel_goal_async()
            self._goal = None

    def poll(self) -> None:
        """Send what could not be sent before: discovery of the server takes its time."""
        request = self._wanted
        if request is None or self._sent or not self._client.server_is_ready():
            return
        self._sent = True
        task = request.task
        goal = Train.Goal(
            global_cid=request.base_cid,
            epochs=task.local_epochs,
            model_id=task.model_id,
            iteration=request.iteration,
            batch_size=task.batch_size,
            learning_rate=task.learning_rate,
            optimizer=task.optimizer,
            architecture=task.architecture,
        )
        sent = self._client.send_goal_async(goal)
        sent.add_done_callback(lambda done: self._accepted(request, done.result()))

    def _accepted(self, request: TrainingRequest, goal: Any) -> None:
        if request is not self._wanted:
            goal.cancel_goal_async()
            return
        self._goal = goal
        goal.get_result_async().add_done_callback(
            lambda done: self._ended(request, done.result().result)
        )

    def _ended(self, request: TrainingRequest, result: Train.Result) -> None:
        if request is not self._wanted:
            return
        self._wanted, self._sent, self._goal = None, False, None
        if result.error:
            self._on_end(TrainingFailed(request, result.error))
        else:
            self._on_end(Trained(request, result.cid, result.accuracy, result.sample_count))
