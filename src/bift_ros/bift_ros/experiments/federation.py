"""A federation in one process: K vehicles train on a fixed split of one folder of crops.

What a vehicle does is the vehicle's own code: `train_local`, `encode_update` and `aggregate`. Only
the chain and the wire are left out; they change no number.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bift_ros.learning.data import Crops, load_training_crops
from bift_ros.learning.evaluation import evaluate
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE, TrainingConfig
from bift_ros.learning.models import build_model, read_parameters, write_parameters
from bift_ros.learning.training import choose_device, train_local
from bift_ros.perception.classes import CLASSES
from bift_ros.pofl.aggregate import Update, aggregate
from bift_ros.pofl.codec import Int32Array, encode_model, encode_update
from bift_ros.synthesis.synth import synthesize

_SYNTH_SEEDS = {"train": 101, "test": 102}

Flat = npt.NDArray[np.float32]
"""A model's parameters, float32[d], in the order of its spec."""


@dataclass(frozen=True)
class LocalModel:
    """One vehicle's model after local training."""

    parameters: Flat
    sample_count: int


@dataclass(frozen=True)
class Settings:
    """What a federation's results depend on, besides the crops and the number of iterations."""

    seed: int
    vehicles: int
    crops: int  # a vehicle's
    local_epochs: int
    learning_rate: float

    @classmethod
    def from_options(cls, options: argparse.Namespace, seed: int) -> Settings:
        """The settings that `add_arguments`' options name."""
        return cls(
            seed, options.vehicles, options.crops, options.local_epochs, options.learning_rate
        )


class Federation:
    """Trains and measures flat models; the same settings and crops give the same numbers."""

    def __init__(self, train: Crops, test: Crops, settings: Settings, device: str = "cpu") -> None:
        self.settings = settings
        self._test = test
        self.data_digest = crops_digest(train, test)
        """Tells the crops apart from any others."""
        self._device = choose_device(device, memory_mb=4096)
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(settings.seed))
        parts = [order[k * settings.crops :][: settings.crops] for k in range(settings.vehicles)]
        self._parts = [Crops(train.images[part], train.labels[part]) for part in parts]
        self._model = build_model(DEFAULT_ARCHITECTURE, len(CLASSES), settings.seed)
        self.start: Int32Array = encode_model(read_parameters(self._model))
        """The first global model, int32[d]: what fixed point can say, so that all start as one."""

    def train(self, global_model: Flat, iteration: int) -> list[LocalModel]:
        """Every vehicle's model after its local epochs from the global one; iterations from 0."""
        trained = []
        for vehicle, crops in enumerate(self._parts):
            config = TrainingConfig(
                local_epochs=self.settings.local_epochs,
                learning_rate=self.settings.learning_rate,
                seed=(self.settings.seed * 1000 + iteration) * 1000 + vehicle,
            )
            write_parameters(self._model, global_model)
            train_local(self._model, crops, config, self._device)
            trained.append(LocalModel(read_parameters(self._model), len(crops)))
        return trained

    def accuracy(self, global_model: Flat) -> float:
        """On the held-out crops, in percent."""
        write_parameters(self._model, global_model)
        return 100.0 * evaluate(self._model, self._test, self._device).accuracy


def average_float32(local: Sequence[LocalModel]) -> Flat:
    """FedAvg in float32 (McMahan 2017, algorithm 1): the sample-weighted mean, float32[d]."""
    counts = np.array([model.sample_count for model in local], np.float32)
    stacked = np.stack([model.parameters for model in local])
    mean: Flat = np.einsum("k,kd->d", counts / counts.sum(), stacked)
    return mean


def average_fixed_point(
    global_model: Int32Array, local: Sequence[LocalModel], iteration: int
) -> Int32Array:
    """FedAvg as the chain computes it: the next global model, int32[d]."""
    updates = [
        Update(
            cid=f"vehicle{vehicle}",
            address=f"{vehicle:040x}",
            sample_count=model.sample_count,
            values=encode_update(model.parameters, global_model),
        )
        for vehicle, model in enumerate(local)
    ]
    return aggregate(
        global_model,
        updates,
        rule="fedavg",
        byzantine=0,
        previous_hash=bytes(32),
        iteration=iteration,
    ).model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every experiment on a federation. Defaults are the paper's 15,000 crops."""
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("out/experiments/crops"),
        help="folder with train/<class>/*.png and test/<class>/*.png; what is missing is "
        "synthesized there (default: %(default)s)",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("out/experiments/runs"),
        help="folder where each run is kept after every iteration; a run that is cut off, or "
        "asked for more iterations, goes on from there (default: %(default)s)",
    )
    number: dict[str, Any] = {"type": positive, "metavar": "N"}
    parser.add_argument("--vehicles", default=30, **number, help="vehicles (%(default)s)")
    parser.add_argument("--crops", default=500, **number, help="crops a vehicle (%(default)s)")
    parser.add_argument("--test-crops", default=6000, **number, help="if made (%(default)s)")
    parser.add_argument("--local-epochs", default=1, **number, help="in an iteration (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.001, help="(%(default)s)")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def load_data(options: argparse.Namespace, say: Callable[[str], None]) -> tuple[Crops, Crops]:
    """The crops to train and to test on; synthesizes what is missing.

    Raises ValueError where the folder holds too few for the vehicles.
    """
    needed = options.vehicles * options.crops
    make_data(options.data, needed, options.test_crops, say)
    train, test = (load_training_crops(options.data / name) for name in ("train", "test"))
    if len(train) < needed:
        raise ValueError(
            f"{options.data / 'train'} holds {len(train)} crops, {options.vehicles} vehicles need "
            f"{needed}: lower --crops, or name another --data"
        )
    return train, test


def make_data(folder: Path, train_crops: int, test_crops: int, say: Callable[[str], None]) -> None:
    """Synthesize train/ and test/ below a folder where they are missing."""
    for name, count in (("train", train_crops), ("test", test_crops)):
        if (folder / name).is_dir():
            continue
        say(f"making {count} crops in {folder / name}")
        scratch = folder / f".{name}"
        shutil.rmtree(scratch, ignore_errors=True)
        synthesize(1, 1, scratch, _SYNTH_SEEDS[name], test_crops=count)
        (scratch / "test").rename(folder / name)
        shutil.rmtree(scratch)


def crops_digest(*parts: Crops) -> str:
    """16 hex digits of SHA-256 over images and labels: tells crops apart from any others."""
    digest = hashlib.sha256()
    for crops in parts:
        digest.update(crops.images.permute(0, 2, 3, 1).numpy().tobytes())
        digest.update(crops.labels.numpy().tobytes())
    return digest.hexdigest()[:16]


def positive(text: str) -> int:
    """An option's value that must be at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value
