"""Measures each new global model on a held-out test set, beside the fleet."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, wait
from pathlib import Path

from bift_ros.consensus.exceptions import ChainError
from bift_ros.fleet.runs.reading import ModelReader
from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import LearningError
from bift_ros.learning.jobs import EvaluateJob
from bift_ros.pofl.files import ModelFileError
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.storage.interface import StorageError


class Evaluator:
    """Fetches global models from the vehicles and evaluates them in a worker process."""

    def __init__(
        self, folder: Path, test_set: Path, architecture: str, device: str, reader: ModelReader
    ) -> None:
        self._reader = reader
        self._test_set, self._architecture = test_set, architecture
        self._storage = EmbeddedStorage(folder)
        self._worker = TrainingWorker(
            device=device, threads=1, allowed_architectures=(architecture,)
        )
        self._worker.start()
        self.accuracy: dict[int, float] = {}
        """Accuracy on the test set by iteration, in [0, 1]."""
        self.errors: dict[int, str] = {}
        self._pending: dict[int, Future[None]] = {}

    def evaluate(self, iteration: int, cid: str, providers: Sequence[str]) -> None:
        """Begin to measure an iteration's global model, unless that was asked before."""
        if iteration in self._pending:
            return
        done = self._pending[iteration] = Future()
        threading.Thread(
            target=self._run, args=(iteration, cid, tuple(providers), done), daemon=True
        ).start()

    def wait(self, timeout: float) -> None:
        """Wait for all evaluations that were asked for; note those that take too long."""
        waiting = wait(self._pending.values(), timeout).not_done
        for iteration, pending in self._pending.items():
            if pending in waiting:
                self.errors[iteration] = f"not done within {timeout:.0f} s"

    def close(self) -> None:
        """End the worker process."""
        self._worker.close()
        self._storage.close()

    def _run(
        self, iteration: int, cid: str, providers: tuple[str, ...], done: Future[None]
    ) -> None:
        try:
            model = self._reader.decrypt(self._storage.get(cid, providers))
            job = EvaluateJob(model, self._test_set, self._architecture)
            self.accuracy[iteration] = self._worker.submit(job).result().accuracy
        except (StorageError, LearningError, ModelFileError, ChainError) as error:
            self.errors[iteration] = str(error)
        finally:
            done.set_result(None)
