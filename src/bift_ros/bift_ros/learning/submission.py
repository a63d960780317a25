"""A job on its way through the worker: as a message with files, and its result from others.

Free of torch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from bift_ros.learning.jobs import EpochProgress, Job, TrainingConfig

_log = logging.getLogger(__name__)
OnProgress = Callable[[EpochProgress], None]


class Submission:
    """A job on its way through the worker."""

    def __init__(self, number: int, job: Job[Any], on_progress: OnProgress | None) -> None:
        self.number = number
        self.future: Future[Any] = Future()
        self._job = job
        self._on_progress = on_progress

    def message(self, folder: Path) -> tuple[dict[str, Any], Path]:
        """The job as a message, its files written to the folder; and where its output goes."""
        output = folder / "output.safetensors"
        message = {"job": self.number, "kind": self._job.kind, "output": str(output)}
        sent = {n: _sent(v, folder / f"{n}.safetensors") for n, v in vars(self._job).items()}
        return message | sent, output

    def report(self, event: dict[str, Any]) -> None:
        """Pass an epoch on; a caller's error is logged, for the training itself is fine."""
        if self._on_progress is None:
            return
        try:
            self._on_progress(EpochProgress(event["epoch"], event["epochs"], event["loss"]))
        except Exception:
            _log.exception("a progress callback failed")

    def result(self, fields: dict[str, Any], output: Path) -> Any:
        """The job's result from the worker's last event and the file it wrote."""
        values = {n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()}
        if self._job.makes:
            values[self._job.makes] = output.read_bytes()
        return self._job.result(**values)


def _sent(value: Any, file: Path) -> Any:
    """What stands for a job's value in its message; models and crops are written to `file`."""
    if isinstance(value, bytes):
        file.write_bytes(value)
        return str(file)
    if isinstance(value, np.ndarray):
        save_file({"crops": np.ascontiguousarray(value)}, file)
        return str(file)
    if isinstance(value, Path):
        return str(value.absolute())
    return asdict(value) if isinstance(value, TrainingConfig) else value
