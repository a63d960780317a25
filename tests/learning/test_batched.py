"""Batched training is held to `train_local`, vehicle by vehicle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bift_ros.learning.batched import as_memory_allows, train_batched
from bift_ros.learning.data import Crops
from bift_ros.learning.errors import ModelError, NoTrainingData, TrainingDiverged
from bift_ros.learning.jobs import OPTIMIZERS, TrainingConfig
from bift_ros.learning.models import read_parameters, traffic_light_cnn, write_parameters
from bift_ros.learning.training import train_local

CPU = torch.device("cpu")
LENGTHS = (23, 40, 7, 61, 40, 10)  # ragged ends, equal ones, less than one minibatch
SEEDS = (5, 3, 8, 1, 9, 2)
RATES = {"adam": 0.002, "sgd": 0.02}


@pytest.fixture(params=[1, 2], autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def noise(lengths: Sequence[int] = LENGTHS) -> list[Crops]:
    generator = torch.Generator().manual_seed(7)
    return [
        Crops(
            torch.randint(0, 256, (n, 32, 32, 3), dtype=torch.uint8, generator=generator).permute(
                0, 3, 1, 2
            ),
            torch.randint(0, 10, (n,), generator=generator),
        )
        for n in lengths
    ]


def with_batch_norm() -> nn.Module:
    """Crops of one minibatch act on each other here."""
    return nn.Sequential(
        nn.Conv2d(3, 4, kernel_size=3, stride=4, bias=False),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 8 * 8, 10),
    )


def odd_convolutions() -> nn.Module:
    """Dilated, grouped, padded unevenly, padded by name, with and without a bias."""
    return nn.Sequential(
        nn.Conv2d(3, 6, kernel_size=(3, 5), stride=(2, 3), padding=(0, 2), bias=False),
        nn.Tanh(),
        nn.Conv2d(6, 6, kernel_size=3, padding="same", dilation=2, groups=3),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(6 * 16, 10),
    )


def one_by_one(
    model: nn.Module, crops: Sequence[Crops], starts: np.ndarray, config: TrainingConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and losses of `train_local` for each vehicle."""
    rows, losses = [], []
    for vehicle, start, seed in zip(crops, starts, SEEDS, strict=True):
        write_parameters(model, start)
        losses.append(train_local(model, vehicle, replace(config, seed=seed), CPU).losses)
        rows.append(read_parameters(model))
    return np.stack(rows), np.array(losses)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", [traffic_light_cnn, with_batch_norm, odd_convolutions])
def test_each_vehicle_gets_what_training_alone_gives(
    network: Callable[[], nn.Module], optimizer: str
) -> None:
    torch.manual_seed(4)
    model, crops = network(), noise()
    start = read_parameters(model)
    config = TrainingConfig(local_epochs=2, optimizer=optimizer, learning_rate=RATES[optimizer])
    batched = train_batched(model, crops, start, config, SEEDS, CPU)
    np.testing.assert_array_equal(read_parameters(model), start)
    rows, losses = one_by_one(model, crops, np.tile(start, (len(crops), 1)), config)
    moved = np.abs(rows - start).max(axis=1)
    assert (moved > 1e-3).all()
    # Adam's quotient of two averages is steep where both are tiny: some parameters drift apart.
    np.testing.assert_allclose(batched.parameters, rows, atol=5e-4)
    assert np.abs(batched.parameters - rows).mean() < 1e-5
    np.testing.assert_allclose(batched.losses, losses, rtol=1e-4)
    assert batched.diverged == {}


def test_vehicles_may_start_apart() -> None:
    model, crops = traffic_light_cnn(), noise()
    shifts = np.linspace(-0.01, 0.01, len(crops), dtype=np.float32)[:, None]
    starts = read_parameters(model) + shifts
    config = TrainingConfig(local_epochs=1, optimizer="sgd")
    batched = train_batched(model, crops, starts, config, SEEDS, CPU)
    rows, _ = one_by_one(model, crops, starts, config)
    np.testing.assert_allclose(batched.parameters, rows, atol=1e-5)


def test_a_vehicle_that_diverges_is_named_and_stops_no_other() -> None:
    model, crops = traffic_light_cnn(), noise()
    starts = np.tile(read_parameters(model), (len(crops), 1))
    starts[3] *= 1e20
    config = TrainingConfig(local_epochs=2, optimizer="sgd")
    batched = train_batched(model, crops, starts, config, SEEDS, CPU)
    write_parameters(model, starts[3])
    with pytest.raises(TrainingDiverged) as alone:
        train_local(model, crops[3], replace(config, seed=SEEDS[3]), CPU)
    assert batched.diverged == {3: str(alone.value)}
    assert np.isnan(batched.parameters[3]).all()
    assert np.isfinite(np.delete(batched.parameters, 3, axis=0)).all()


def test_a_vehicle_without_crops_is_named() -> None:
    model = traffic_light_cnn()
    start = read_parameters(model)
    with pytest.raises(NoTrainingData, match="vehicle 1"):
        train_batched(model, noise([5, 0]), start, TrainingConfig(), (1, 2), CPU)


@pytest.mark.parametrize("shape", [(7,), (3, 56170)])
def test_a_start_that_does_not_fit_is_named(shape: tuple[int, ...]) -> None:
    start = np.zeros(shape, np.float32)
    with pytest.raises(ModelError, match="56170 parameters and there are 2 vehicles"):
        train_batched(traffic_light_cnn(), noise([5, 5]), start, TrainingConfig(), (1, 2), CPU)


def test_a_networks_own_failure_comes_through_and_leaves_the_threads(threads: int) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise ZeroDivisionError("in forward")

    start = np.zeros(3, np.float32)
    with pytest.raises(ZeroDivisionError, match="in forward"):
        train_batched(Broken(), noise(), start, TrainingConfig(), SEEDS, CPU)
    assert torch.get_num_threads() == threads


def test_chunks_shrink_until_memory_holds_them() -> None:
    trained: list[list[int]] = []

    def train(chunk: Sequence[int]) -> None:
        if len(chunk) > 3:
            raise torch.OutOfMemoryError("too many")
        trained.append(list(chunk))

    as_memory_allows(train, list(range(10)))
    assert trained == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


def test_what_no_memory_holds_is_an_error() -> None:
    def train(chunk: Sequence[int]) -> None:
        raise torch.OutOfMemoryError(f"{len(chunk)} are too many")

    with pytest.raises(torch.OutOfMemoryError, match="1 are"):
        as_memory_allows(train, list(range(10)))
