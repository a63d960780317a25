"""Camera and label topics into the private dataset."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bift_ros.nodes import camera_topics, parameters
from bift_ros.nodes.camera_topics import Frame, stamp_ns
from bift_ros.nodes.quiet_node import QuietNode
from bift_ros.perception.classes import Label
from bift_ros.perception.pipeline import Pipeline, Statistics

# About ten seconds of a camera: JPEG decoding that falls further behind loses frames.
_BACKLOG = 200
_TRY_AGAIN_SECONDS = 10.0


class PerceptionNode(QuietNode):
    """Hands messages to the pipeline on a thread of its own, so that consensus never waits."""

    def __init__(self, dataset: Path, on_samples: Callable[[int], None]) -> None:
        """`on_samples` is called from the thread whenever the number of samples changes."""
        super().__init__("perception")
        settings = parameters.declare(self, parameters.PERCEPTION)
        self._dataset, self._settings = dataset, settings
        self._on_samples = on_samples
        self.lost_frames = 0
        """Messages dropped since the pipeline fell too far behind."""
        self.statistics = Statistics(0, 0, 0, 0, {}, {})
        """What has come in and what became of it."""
        self._queue: queue.Queue[Callable[[Pipeline], None] | None] = queue.Queue(_BACKLOG)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="perception", daemon=True)
        camera_topics.subscribe(self, settings["image_transport"], self._on_frame, self._on_labels)

    def start(self) -> None:
        """Begin to work on what comes in."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is queued and stop."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join()

    def wait_idle(self) -> None:
        """Block until all that has come in so far is in the dataset."""
        self._queue.join()

    def _on_frame(self, header: Any, frame: Frame) -> None:
        self._enqueue(lambda pipeline: pipeline.on_image(stamp_ns(header), frame))

    def _on_labels(self, header: Any, labels: list[Label]) -> None:
        self._enqueue(lambda pipeline: pipeline.on_labels(stamp_ns(header), labels))

    def _enqueue(self, job: Callable[[Pipeline], None]) -> None:
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            self.lost_frames += 1

    def _work(self) -> None:
        pipeline = self._open()
        if pipeline is None:
            while self._queue.get() is not None:
                self._queue.task_done()
            self._queue.task_done()
            return
        self._report(pipeline)
        while (job := self._queue.get()) is not None:
            try:
                job(pipeline)
            except (OSError, sqlite3.Error) as error:
                self._unwritten(error)
            self._report(pipeline)
            self._queue.task_done()
        self._queue.task_done()
        pipeline.close()

    def _open(self) -> Pipeline | None:
        """Open the dataset, however long it takes until there is room; None at the end."""
        settings = self._settings
        while not self._closing.is_set():
            try:
                return Pipeline(
                    self._dataset,
                    cap=settings["maximum_samples"],
                    val_share=settings["validation_share"],
                )
            except (OSError, sqlite3.Error) as error:
                self._unwritten(error)
                self._closing.wait(_TRY_AGAIN_SECONDS)
        return None

    def _unwritten(self, error: Exception) -> None:
        self.get_logger().error(f"the dataset {self._dataset} can't be written: {error}")

    def _report(self, pipeline: Pipeline) -> None:
        before, self.statistics = self.statistics.train, pipeline.statistics
        if self.statistics.train != before:
            self._on_samples(self.statistics.train)
