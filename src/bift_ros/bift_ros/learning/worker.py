"""The worker process: all of torch, behind JSON lines (`python -m bift_ros.learning.worker`).

One job a line arrives on stdin; events leave on stdout. Models, updates and crops travel as files
that the client owns. The client's side is `client.py`; the messages are

    in    {"job": 1, "kind": "init" | "train" | "evaluate" | "predict", "architecture": …, …}
          {"cancel": 1}
    out   {"event": "ready", "device": "cpu"}
          {"event": "progress", "job": 1, "epoch": 1, "epochs": 10, "loss": 2.1, "gpu_mb": 120}
          {"event": "done", "job": 1, "result": {…}, "gpu_mb": 120}
          {"event": "failed", "job": 1, "error": "TrainingDiverged", "reason": …}

The process ends when stdin does, which is also when its vehicle dies, however it dies: stdin is
watched by a thread of its own, so even a long training stops at once.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from bift_ros.learning.data import Crops, load_crops, load_training_crops
from bift_ros.learning.errors import ArchitectureNotAllowed, JobCancelled, ModelError
from bift_ros.learning.evaluation import evaluate, predict
from bift_ros.learning.jobs import EpochProgress, TrainingConfig
from bift_ros.learning.local_round import Images, Labels, Learner, LocalRound, Parameters, learn
from bift_ros.learning.models import build_model, read_parameters, spec_of, write_parameters
from bift_ros.learning.training import LocalTraining, choose_device, train_local
from bift_ros.perception.classes import CLASSES
from bift_ros.pofl.codec import MODEL_EXPONENT, decode_model, encode_model, encode_update
from bift_ros.pofl.files import parse_model, serialize_model, serialize_update

Send = Callable[[dict[str, Any]], None]


class Worker:
    """Runs jobs one after another on one device."""

    def __init__(
        self, device: torch.device, allowed: frozenset[str], send: Send, learner: Learner = learn
    ) -> None:
        self._device = device
        self._allowed = allowed
        self._send = send
        self._learner = learner
        self._cancelled: set[int] = set()

    def cancel(self, job: int) -> None:
        """Stop a job that runs or waits; called from the thread that reads stdin."""
        self._cancelled.add(job)

    def run(self, message: dict[str, Any]) -> None:
        """Run one job and report how it ended. Nothing that a job does ends the worker."""
        job = message["job"]
        try:
            if job in self._cancelled:
                raise JobCancelled("the job was cancelled before it began")
            if message["architecture"] not in self._allowed:
                raise ArchitectureNotAllowed(
                    f"architecture {message['architecture']!r} is not among those that this "
                    f"vehicle allows: {', '.join(sorted(self._allowed))}"
                )
            result = _JOBS[message["kind"]](self, message)
        except Exception as error:  # whatever a network's own code raises is the job's failure
            why = {"error": type(error).__name__, "reason": str(error)}
            self._send({"event": "failed", "job": job, **why})
        else:
            self._send({"event": "done", "job": job, "result": result, "gpu_mb": self._gpu_mb()})

    def _init(self, message: dict[str, Any]) -> dict[str, Any]:
        model = build_model(message["architecture"], len(CLASSES), message["seed"])
        values = encode_model(read_parameters(model))
        Path(message["output"]).write_bytes(serialize_model(spec_of(model), values, MODEL_EXPONENT))
        return {"parameters": values.size}

    def _train(self, message: dict[str, Any]) -> dict[str, Any]:
        job, dataset = message["job"], Path(message["dataset"])
        model, values, exponent = self._load(message)
        crops = load_training_crops(dataset / "train")
        config, start = TrainingConfig(**message["config"]), decode_model(values, exponent)
        trainings: list[LocalTraining] = []

        def train(images: Images, labels: Labels, seed: int) -> Parameters:
            write_parameters(model, start)
            training = train_local(
                model,
                Crops(torch.from_numpy(images), torch.from_numpy(labels)),
                replace(config, seed=seed),
                self._device,
                on_epoch=lambda progress: self._progress(job, progress),
                should_stop=lambda: job in self._cancelled,
            )
            trainings.append(training)
            return read_parameters(model)

        local_round = LocalRound(
            crops.images.numpy(), crops.labels.numpy(), start, config.seed, train
        )
        # The base is the fixed-point global model itself, so every vehicle subtracts the same.
        update = encode_update(
            self._learner(local_round), values, message["update_exponent"], exponent
        )
        validation = load_crops(dataset / "val")
        measured = evaluate(model, validation if len(validation) else crops, self._device)
        Path(message["output"]).write_bytes(
            serialize_update(spec_of(model), update, message["update_exponent"])
        )
        return {
            "accuracy": measured.accuracy,
            "sample_count": len(crops),
            "validation_count": len(validation),
            "skipped": crops.skipped + validation.skipped,
            "losses": trainings[-1].losses if trainings else (),
            "seconds": sum(training.seconds for training in trainings),
        }

    def _evaluate(self, message: dict[str, Any]) -> dict[str, Any]:
        model, _, _ = self._load(message)
        crops = load_training_crops(Path(message["folder"]))
        return asdict(evaluate(model, crops, self._device))

    def _predict(self, message: dict[str, Any]) -> dict[str, Any]:
        model, _, _ = self._load(message)
        crops = load_file(message["crops"])["crops"].permute(0, 3, 1, 2)
        classes, confidences = predict(model, crops, self._device)
        return {"classes": [CLASSES[n] for n in classes], "confidences": confidences}

    def _load(
        self, message: dict[str, Any]
    ) -> tuple[torch.nn.Module, np.ndarray[Any, np.dtype[np.int32]], int]:
        """The network with the global model's parameters, their integers and their exponent."""
        spec, values, exponent = parse_model(Path(message["model"]).read_bytes())
        model = build_model(message["architecture"], len(CLASSES))
        if spec != spec_of(model):
            raise ModelError(
                f"the global model's tensors are not those of {message['architecture']}: "
                f"{spec.size} parameters in {len(spec.tensors)} tensors against "
                f"{spec_of(model).size} in {len(spec_of(model).tensors)}"
            )
        write_parameters(model, decode_model(values, exponent))
        return model, values, exponent

    def _progress(self, job: int, progress: EpochProgress) -> None:
        event = {"event": "progress", "job": job, **asdict(progress)}
        self._send(event | {"gpu_mb": self._gpu_mb()})

    def _gpu_mb(self) -> int:
        """What torch holds of the GPU's memory, in MiB: the part that `--memory-mb` caps."""
        if self._device.type != "cuda":
            return 0
        return torch.cuda.memory_reserved(self._device) >> 20


_JOBS: dict[str, Callable[[Worker, dict[str, Any]], dict[str, Any]]] = {
    "init": Worker._init,
    "train": Worker._train,
    "evaluate": Worker._evaluate,
    "predict": Worker._predict,
}


def claim_stdout() -> Send:
    """Take stdout for the protocol alone; what libraries print then goes to stderr."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(event: dict[str, Any]) -> None:
        channel.write(json.dumps(event) + "\n")
        channel.flush()

    return send


def watch_stdin(worker: Worker, jobs: queue.Queue[dict[str, Any]]) -> None:
    """Queue jobs, pass cancellations on, and end the process when the vehicle is gone."""
    for line in sys.stdin:
        message = json.loads(line)
        if "cancel" in message:
            worker.cancel(message["cancel"])
        else:
            jobs.put(message)
    os._exit(0)  # from any thread, in the middle of a training: nothing here needs saving


def main(arguments: list[str] | None = None, learner: Learner = learn) -> None:
    """Serve jobs until stdin ends."""
    parser = argparse.ArgumentParser(prog="bift_ros.learning.worker", description=__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    parser.add_argument("--memory-mb", type=int, default=900, help="cap on GPU memory, in MiB")
    parser.add_argument("--allow", action="append", default=[], help="an allowed architecture")
    options = parser.parse_args(arguments)
    send = claim_stdout()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # Adam's averages of a silent unit fade into slow denormals
    device = choose_device(options.device, options.memory_mb)
    worker = Worker(device, frozenset(options.allow), send, learner)
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=watch_stdin, args=(worker, jobs), daemon=True).start()
    send({"event": "ready", "device": str(device)})
    while True:
        worker.run(jobs.get())


if __name__ == "__main__":
    main()
