"""The real worker process behind its client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import (
    ArchitectureNotAllowed,
    JobCancelled,
    ModelError,
    NoTrainingData,
    TrainingDiverged,
    WorkerCrashed,
)
from bift_ros.learning.jobs import (
    EpochProgress,
    EvaluateJob,
    InitJob,
    TrainingConfig,
    TrainJob,
)
from bift_ros.pofl.codec import UPDATE_EXPONENT, ModelSpec, TensorSpec
from bift_ros.pofl.files import parse_model, parse_update, serialize_model

DEADLINE = 120  # seconds; the first job waits for the import of torch
QUICK = TrainingConfig(local_epochs=3, seed=5)


@pytest.fixture(scope="session")
def model(worker: TrainingWorker) -> bytes:
    return worker.submit(InitJob(seed=7)).result(DEADLINE).model


def test_init_gives_the_same_bytes_for_a_seed(worker: TrainingWorker, model: bytes) -> None:
    again = worker.submit(InitJob(seed=7)).result(DEADLINE)
    other = worker.submit(InitJob(seed=8)).result(DEADLINE)
    assert again.model == model
    assert other.model != model
    assert parse_model(model)[0].size == again.parameters
    assert 50_000 <= again.parameters <= 200_000


def test_train_gives_an_update_that_helps(
    worker: TrainingWorker, model: bytes, dataset: Path
) -> None:
    seen: list[EpochProgress] = []
    result = worker.submit(TrainJob(model, dataset, QUICK), seen.append).result(DEADLINE)
    spec, values, exponent = parse_model(model)
    update = parse_update(result.update, spec, UPDATE_EXPONENT)
    assert [p.epoch for p in seen] == [1, 2, 3]
    assert tuple(p.loss for p in seen) == result.losses
    assert result.losses[-1] < result.losses[0]
    assert (result.sample_count, result.validation_count, result.skipped) == (60, 15, 0)
    moved = values + (update.astype(np.int32) << (exponent - UPDATE_EXPONENT))
    trained = serialize_model(spec, moved.astype(np.int32), exponent)
    before = worker.submit(EvaluateJob(model, dataset / "val")).result(DEADLINE)
    after = worker.submit(EvaluateJob(trained, dataset / "val")).result(DEADLINE)
    assert after.accuracy > before.accuracy
    assert after.accuracy == pytest.approx(result.accuracy, abs=0.07)  # one crop of fifteen
    assert set(after.per_class) == {"red_circle", "green_circle", "off"}
    assert after.count == 15


def test_the_same_job_gives_the_same_update(
    worker: TrainingWorker, model: bytes, dataset: Path
) -> None:
    first, second = (worker.submit(TrainJob(model, dataset, QUICK)) for _ in range(2))
    assert first.result(DEADLINE).update == second.result(DEADLINE).update


def test_a_vehicle_without_crops_is_told_so(
    worker: TrainingWorker, model: bytes, tmp_path: Path
) -> None:
    with pytest.raises(NoTrainingData, match="no readable 32×32 PNG"):
        worker.submit(TrainJob(model, tmp_path)).result(DEADLINE)


def test_diverging_training_gives_nothing(
    worker: TrainingWorker, model: bytes, dataset: Path
) -> None:
    config = TrainingConfig(learning_rate=1e30, optimizer="sgd")
    with pytest.raises(TrainingDiverged, match="diverged in epoch 1"):
        worker.submit(TrainJob(model, dataset, config)).result(DEADLINE)


def test_a_model_of_another_architecture_is_refused(worker: TrainingWorker, dataset: Path) -> None:
    spec = ModelSpec((TensorSpec("weight", (4,)),))
    foreign = serialize_model(spec, np.zeros(4, np.int32), 20)
    with pytest.raises(ModelError, match="4 parameters in 1 tensors"):
        worker.submit(TrainJob(foreign, dataset)).result(DEADLINE)


def test_an_architecture_off_the_list_is_never_imported(
    worker: TrainingWorker, tmp_path: Path
) -> None:
    job = InitJob(architecture="learning_test_networks:silent")
    with pytest.raises(ArchitectureNotAllowed, match="silent"):
        worker.submit(job).result(DEADLINE)


def test_what_a_network_prints_stays_out_of_the_protocol(worker: TrainingWorker) -> None:
    job = InitJob(seed=3, architecture="learning_test_networks:loud")
    plain = worker.submit(InitJob(seed=3)).result(DEADLINE)
    assert worker.submit(job).result(DEADLINE).model == plain.model


def test_cancel_stops_the_running_job_and_no_other(
    worker: TrainingWorker, model: bytes, dataset: Path
) -> None:
    endless = TrainJob(model, dataset, TrainingConfig(local_epochs=1_000_000))
    running = worker.submit(endless, lambda progress: worker.cancel())
    waiting = worker.submit(InitJob(seed=7))
    with pytest.raises(JobCancelled):
        running.result(DEADLINE)
    assert waiting.result(DEADLINE).model == model


def test_a_failing_callback_does_not_fail_the_training(
    worker: TrainingWorker, model: bytes, dataset: Path
) -> None:
    def fail(progress: EpochProgress) -> None:
        raise RuntimeError("the caller's own")

    future = worker.submit(TrainJob(model, dataset, QUICK), fail)
    assert len(future.result(DEADLINE).losses) == 3


def test_a_crash_fails_its_job_and_the_next_one_runs(worker: TrainingWorker, model: bytes) -> None:
    before = worker.pid
    crash = worker.submit(InitJob(architecture="learning_test_networks:killer"))
    following = worker.submit(InitJob(seed=7))
    with pytest.raises(WorkerCrashed, match="SIGKILL"):
        crash.result(DEADLINE)
    assert following.result(DEADLINE).model == model
    assert worker.pid not in (None, before)


def test_the_worker_steps_back_behind_its_vehicle() -> None:
    with TrainingWorker(device="cpu") as worker:
        worker.submit(InitJob(seed=1)).result(DEADLINE)
        assert worker.pid is not None
        assert psutil.Process(worker.pid).nice() == min(19, psutil.Process().nice() + 10)


def test_the_first_job_starts_a_worker_that_was_not_started() -> None:
    worker = TrainingWorker(device="cpu")
    assert worker.pid is None
    assert worker.submit(InitJob(seed=1)).result(DEADLINE).model
    worker.close()


def test_the_worker_dies_with_its_vehicle() -> None:
    vehicle = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time; from bift_ros.learning.client import TrainingWorker\n"
            "worker = TrainingWorker(device='cpu'); worker.start()\n"
            "while worker.pid is None: time.sleep(0.01)\n"
            "print(worker.pid, flush=True); time.sleep(600)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert vehicle.stdout is not None
    worker = psutil.Process(int(vehicle.stdout.readline()))
    os.kill(vehicle.pid, signal.SIGKILL)
    vehicle.wait()
    vehicle.stdout.close()
    worker.wait(DEADLINE)  # raises TimeoutExpired where the worker lives on


@pytest.mark.parametrize(
    ("script", "reason"),
    [(None, "No such file"), ("echo no CUDA here >&2; exit 3", "exit status 3\nno CUDA here")],
)
def test_a_worker_that_cannot_start_says_why(
    tmp_path: Path, script: str | None, reason: str
) -> None:
    python = tmp_path / "python"
    if script is not None:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    with TrainingWorker(python=str(python)) as broken:
        for _ in range(2):
            with pytest.raises(WorkerCrashed, match=reason):
                broken.submit(InitJob()).result(DEADLINE)


def test_close_ends_the_running_and_the_waiting_job() -> None:
    worker = TrainingWorker(device="cpu")
    worker.start()
    futures = [worker.submit(InitJob(seed=seed)) for seed in range(2)]
    worker.close()
    worker.close()
    for future in futures:
        with pytest.raises(JobCancelled):
            future.result(DEADLINE)
    with pytest.raises(RuntimeError, match="closed"):
        worker.submit(InitJob())
