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

from bift_ros.learning.jobs import (
    EpochProgress,
    EvaluateJob,
    EvaluateResult,
    InitJob,
    InitResult,
    Job,
    JobResult,
    PredictJob,
    PredictResult,
    TrainResult,
)

_log = logging.getLogger(__name__)
OnProgress = Callable[[EpochProgress], None]


class Submission:
    """A job on its way through the worker."""

    def __init__(self, number: int, job: Job, on_progress: OnProgress | None) -> None:
        self.number = number
        self.future: Future[Any] = Future()
        self._job = job
        self._on_progress = on_progress

    def message(self, folder: Path) -> tuple[dict[str, Any], Path]:
        """The job as a message, its files written to the folder; and where its output goes."""
        job, output = self._job, folder / "output.safetensors"
        message: dict[str, Any] = {"job": self.number, "architecture": job.architecture}
        if isinstance(job, InitJob):
            return message | {"kind": "init", "seed": job.seed, "output": str(output)}, output
        model = folder / "model.safetensors"
        model.write_bytes(job.model)
        message["model"] = str(model)
        if isinstance(job, EvaluateJob):
            return message | {"kind": "evaluate", "folder": str(job.folder.absolute())}, output
        if isinstance(job, PredictJob):
            crops = folder / "crops.safetensors"
            save_file({"crops": np.ascontiguousarray(job.crops)}, crops)
            return message | {"kind": "predict", "crops": str(crops)}, output
        message |= {"kind": "train", "dataset": str(job.dataset.absolute())}
        message |= {"config": asdict(job.config), "update_exponent": job.update_exponent}
        return message | {"output": str(output)}, output

    def report(self, event: dict[str, Any]) -> None:
        """Pass an epoch on; a caller's error is logged, for the training itself is fine."""
        if self._on_progress is None:
            return
        try:
            self._on_progress(EpochProgress(event["epoch"], event["epochs"], event["loss"]))
        except Exception:
            _log.exception("a progress callback failed")

    def result(self, fields: dict[str, Any], output: Path) -> JobResult:
        """The job's result from the worker's last event and the file it wrote."""
        if isinstance(self._job, InitJob):
            return InitResult(model=output.read_bytes(), **fields)
        if isinstance(self._job, EvaluateJob):
            return EvaluateResult(**fields)
        if isinstance(self._job, PredictJob):
            return PredictResult(tuple(fields["classes"]), tuple(fields["confidences"]))
        fields["losses"] = tuple(fields["losses"])
        return TrainResult(update=output.read_bytes(), **fields)
