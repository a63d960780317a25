"""Measures global models on a held-out test set, beside the fleet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path

from bift_ros.consensus.exceptions import ChainError
from bift_ros.fleet.runtimes.runtime import FleetError
from bift_ros.identity.keyfile import KeyFileError
from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import LearningError
from bift_ros.learning.jobs import EvaluateJob
from bift_ros.pofl.files import ModelFileError
from bift_ros.storage.interface import NotFound, StorageError

_PATIENCE_SECONDS = 10.0
"""A vehicle tells of a model while it still writes it down."""


class Evaluator:
    """Reads global models from the vehicles' disks and evaluates them in a worker process."""

    def __init__(
        self, read: Callable[[str, str], bytes], test_set: Path, architecture: str, device: str
    ) -> None:
        """`read` returns the model that a vehicle has under a CID."""
        self._read, self._test_set, self._architecture = read, test_set, architecture
        self._worker = TrainingWorker(
            device=device, threads=1, allowed_architectures=(architecture,)
        )
        self._worker.start()
        self.accuracy: dict[int, float] = {}
        """Accuracy on the test set by iteration, in [0, 1]."""
        self.errors: dict[int, str] = {}
        self._pending: dict[int, Future[None]] = {}

    def evaluate(self, iteration: int, vehicle: str, cid: str) -> None:
        """Begin to measure an iteration's global model, unless that was asked before."""
        if iteration in self._pending:
            return
        done = self._pending[iteration] = Future()
        threading.Thread(
            target=self._run, args=(iteration, vehicle, cid, done), daemon=True
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

    def _run(self, iteration: int, vehicle: str, cid: str, done: Future[None]) -> None:
        try:
            job = EvaluateJob(self._model(vehicle, cid), self._test_set, self._architecture)
            self.accuracy[iteration] = self._worker.submit(job).result().accuracy
        except (
            StorageError, LearningError, ModelFileError, ChainError, KeyFileError, FleetError,
            OSError,
        ) as error:  # fmt: skip
            self.errors[iteration] = str(error)
        finally:
            done.set_result(None)

    def _model(self, vehicle: str, cid: str) -> bytes:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self._read(vehicle, cid)
            except NotFound:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
