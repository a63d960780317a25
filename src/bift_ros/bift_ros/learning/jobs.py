"""What a vehicle asks its worker for, and what it gets back. Free of torch.

Models, updates and crops travel as files next to the JSON lines (`client.py`, `worker.py`), so the
pipe carries only short text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from bift_ros.pofl.codec import UPDATE_EXPONENT

DEFAULT_ARCHITECTURE = "bift_ros.learning.models:traffic_light_cnn"
Result = TypeVar("Result")
CropArray = npt.NDArray[np.uint8]
OPTIMIZERS: tuple[str, ...] = ("adam", "sgd")


@dataclass(frozen=True)
class TrainingConfig:
    """How a vehicle trains in one iteration; the defaults are the paper's (section VI).

    Raises ValueError where a value is out of range.
    """

    local_epochs: int = 10
    batch_size: int = 10
    learning_rate: float = 0.001
    optimizer: str = "adam"
    seed: int = 0  # of the order of the samples: give each vehicle and iteration its own

    def __post_init__(self) -> None:
        if self.local_epochs < 1:
            raise ValueError(f"local_epochs is {self.local_epochs}; it must be at least 1")
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}; it must be at least 1")
        if not (isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be above 0")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer is {self.optimizer!r}; choose one of {OPTIMIZERS}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}; it must be at least 0 and below 2^63")


@dataclass(frozen=True)
class InitResult:
    """A new global model."""

    model: bytes  # `pofl.files.serialize_model`
    parameters: int


@dataclass(frozen=True)
class TrainResult:
    """A local update, ready for `storage.put`, and what its transaction says about it."""

    update: bytes  # `pofl.files.serialize_update`
    accuracy: float  # of the local model on val/, or on train/ where val/ holds no crop
    sample_count: int  # training crops
    validation_count: int  # crops behind `accuracy`; 0 means that it was measured on train/
    skipped: int  # files that are not crops of a known class
    losses: tuple[float, ...]  # per epoch
    seconds: float  # of training alone


@dataclass(frozen=True)
class EvaluateResult:
    """A model's accuracy on a folder."""

    accuracy: float
    per_class: dict[str, float]  # recall of each class that the folder holds
    count: int


@dataclass(frozen=True)
class PredictResult:
    """What a model takes each crop for, in their order."""

    classes: tuple[str, ...]
    confidences: tuple[float, ...]  # the model's own (softmax), 0 to 1


class Job(Generic[Result]):
    """What all jobs have: the worker's name for them, and what becomes of them."""

    kind: ClassVar[str]
    result: ClassVar[type]
    makes: ClassVar[str] = ""
    """The field of the result that is the file which the worker writes; empty: it writes none."""


@dataclass(frozen=True)
class InitJob(Job[InitResult]):
    """Make a task's first global model: a new network's parameters for a seed."""

    kind, result, makes = "init", InitResult, "model"

    seed: int = 0
    architecture: str = DEFAULT_ARCHITECTURE


@dataclass(frozen=True)
class TrainJob(Job[TrainResult]):
    """Train from a global model on the vehicle's own crops and give the update."""

    kind, result, makes = "train", TrainResult, "update"

    model: bytes  # a global model's file (`pofl.files.serialize_model`)
    dataset: Path  # holds train/<class>/*.png and, for the accuracy, val/<class>/*.png
    config: TrainingConfig = field(default_factory=TrainingConfig)
    architecture: str = DEFAULT_ARCHITECTURE
    update_exponent: int = UPDATE_EXPONENT


@dataclass(frozen=True)
class EvaluateJob(Job[EvaluateResult]):
    """Measure a global model on a folder of <class>/*.png."""

    kind, result = "evaluate", EvaluateResult

    model: bytes
    folder: Path
    architecture: str = DEFAULT_ARCHITECTURE


@dataclass(frozen=True, eq=False)
class PredictJob(Job[PredictResult]):
    """Name the class of each of some crops with a global model."""

    kind, result = "predict", PredictResult

    model: bytes
    crops: CropArray  # uint8[n, 32, 32, 3], RGB
    architecture: str = DEFAULT_ARCHITECTURE


@dataclass(frozen=True)
class EpochProgress:
    """One local epoch is done."""

    epoch: int  # from 1
    epochs: int
    loss: float  # mean cross entropy over the epoch, in nats
