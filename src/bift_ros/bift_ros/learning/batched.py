"""Local training of many vehicles at once: what `train_local` does, for a whole federation.

The vehicles' parameters are the rows of one float32[k, d]; `torch.func.vmap` runs the network on
all rows together, and one optimiser steps them all. No vehicle sees another's crops or gradients.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import groupby, islice
from math import ceil
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bift_ros.learning.data import Crops, as_input
from bift_ros.learning.errors import ModelError, NoTrainingData
from bift_ros.learning.jobs import TrainingConfig
from bift_ros.learning.models import sorted_parameters
from bift_ros.learning.optimizers import make_stacked_optimizer
from bift_ros.learning.stacked_convolution import ConvolutionsOneByOne
from bift_ros.learning.training import diverged

T = TypeVar("T")

CPU_CHUNK = 8
"""The most vehicles at a time in one CPU thread. A step of seven to fifteen cost alike, 2.0 to 2.2
ms of CPU time a vehicle, five 2.4 for its fixed costs; and thirty vehicles make four chunks."""


@dataclass(frozen=True)
class BatchedTraining:
    """What the local trainings gave, vehicles in the order of the call."""

    parameters: npt.NDArray[np.float32]  # float32[K, d] in the order of the spec
    losses: npt.NDArray[np.float64]  # float64[K, epochs], mean cross entropy in nats
    diverged: dict[int, str]  # vehicle → epoch and remedy; its row of `parameters` is NaN
    seconds: float


@dataclass(frozen=True)
class _Vehicle:
    index: int  # in the order of the call
    crops: Crops
    seed: int


def train_batched(
    model: nn.Module,
    crops: Sequence[Crops],
    start: npt.NDArray[np.float32],
    config: TrainingConfig,
    seeds: Sequence[int],
    device: torch.device,
    chunks: Sequence[int] = (),
) -> BatchedTraining:
    """Train K vehicles from one start float32[d], or one each float32[K, d].

    Row k is what `train_local` gives with crops[k] and seeds[k] (config.seed is not used), up to
    the rounding of float32; only a network with dropout draws other masks. The model gives the
    architecture, its own parameters stay as they are. On a GPU as many vehicles train at a time as
    its memory takes. On the CPU `torch.get_num_threads()` threads share the chunks: so many
    vehicles each, in the order of the call (default: `chunk_sizes`). On one processor, a chunk's
    bytes depend on nothing outside of it, nor on the number of threads.

    A vehicle that diverges is named in the result and stops no other. Raises NoTrainingData where
    a vehicle has no crop, ModelError where `start` doesn't fit the model, ValueError where
    `seeds` doesn't fit `crops`, and torch's RuntimeError for a network that `vmap` can't run, such
    as one that branches on a tensor's value.
    """
    started = time.monotonic()
    vehicles = [_Vehicle(index, *pair) for index, pair in enumerate(zip(crops, seeds, strict=True))]
    for vehicle in vehicles:
        if len(vehicle.crops) == 0:
            raise NoTrainingData(f"vehicle {vehicle.index} has no crop to train on")
    size = sum(parameter.numel() for parameter in model.parameters())
    if start.shape not in {(size,), (len(vehicles), size)}:
        raise ModelError(
            f"the network has {size} parameters and there are {len(vehicles)} vehicles, but the "
            f"start is {start.shape}"
        )
    parameters = np.array(np.broadcast_to(start, (len(vehicles), size)), np.float32, order="C")
    losses = np.empty((len(vehicles), config.local_epochs))
    finite = np.empty((len(vehicles), config.local_epochs), bool)
    if not chunks:
        # Vehicles of like length share a chunk, so that few wait for the longest.
        vehicles.sort(key=_by_length)

    def train(chunk: Sequence[_Vehicle], should_stop: Callable[[], bool]) -> None:
        chunk = sorted(chunk, key=_by_length)
        rows = [vehicle.index for vehicle in chunk]
        values = torch.tensor(parameters[rows], device=device)
        # A call puts its parameters into the module for a while: each thread needs its own.
        trained = _train_chunk(copy.deepcopy(model), chunk, values, config, should_stop)
        parameters[rows] = values.cpu().numpy()
        losses[rows], finite[rows] = (result.cpu().numpy() for result in trained)

    if device.type == "cpu":
        _in_threads(train, vehicles, chunks or chunk_sizes(len(vehicles)))
    else:
        as_memory_allows(lambda chunk: train(chunk, lambda: False), vehicles)
    named = {
        vehicle: diverged(epoch + 1, float(losses[vehicle, epoch]), config)
        for vehicle, epoch in enumerate(finite.argmin(axis=1))
        if not finite[vehicle, epoch]
    }
    parameters[list(named)] = np.nan
    return BatchedTraining(parameters, losses, named, time.monotonic() - started)


def as_memory_allows(train: Callable[[Sequence[T]], None], vehicles: Sequence[T]) -> None:
    """Train all vehicles together, or in chunks that the device's memory holds.

    A chunk needs its most memory in its first step, so a size that is too large shows at once.
    Raises torch.OutOfMemoryError where not even one vehicle fits.
    """
    done, size = 0, len(vehicles)
    while done < len(vehicles):
        try:
            train(vehicles[done : done + size])
            done += size
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size = (size + 1) // 2
        torch.cuda.empty_cache()


def chunk_sizes(vehicles: int) -> list[int]:
    """Chunks of at most CPU_CHUNK vehicles, as few and as equal as can be."""
    chunks = ceil(vehicles / CPU_CHUNK)
    return [vehicles * (n + 1) // chunks - vehicles * n // chunks for n in range(chunks)]


def _by_length(vehicle: _Vehicle) -> int:
    return -len(vehicle.crops)


def _in_threads(
    train: Callable[[Sequence[_Vehicle], Callable[[], bool]], None],
    vehicles: Sequence[_Vehicle],
    sizes: Sequence[int],
) -> None:
    """Let as many threads as torch may use share the vehicles, chunk by chunk."""
    rest = iter(vehicles)
    chunks = [list(islice(rest, size)) for size in sizes]
    threads = torch.get_num_threads()
    failed = threading.Event()
    # Single operations are too small to gain by more threads, which would also sum otherwise.
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        with pool:
            trainings = [pool.submit(train, chunk, failed.is_set) for chunk in chunks]
            try:
                for training in trainings:
                    training.result()
            except BaseException:  # Ctrl-C too: the others stop at their next minibatch
                failed.set()
                raise
    finally:
        torch.set_num_threads(threads)


def _train_chunk(
    model: nn.Module,
    vehicles: Sequence[_Vehicle],
    values: torch.Tensor,
    config: TrainingConfig,
    should_stop: Callable[[], bool],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train float32[k, d] in place, the vehicle with the most crops first.

    Gives the mean losses, float64[k, epochs], and whether all was finite after each epoch.
    """
    device = values.device
    model.to(device).train()
    forward = _stacked_forward(model)
    # Channels last, whatever the crops' own order is: convolutions round by the order in memory.
    images = torch.cat([v.crops.images.permute(0, 2, 3, 1) for v in vehicles]).to(device)
    labels = torch.cat([vehicle.crops.labels for vehicle in vehicles]).to(device)
    lengths = [len(vehicle.crops) for vehicle in vehicles]
    orders = [torch.Generator().manual_seed(vehicle.seed) for vehicle in vehicles]
    optimizer = make_stacked_optimizer(config.optimizer, values, config.learning_rate)
    losses = torch.zeros(len(vehicles), config.local_epochs, dtype=torch.float64, device=device)
    finite = torch.zeros_like(losses, dtype=torch.bool)
    for epoch in range(config.local_epochs):
        samples = _draw_samples(lengths, orders).to(device)
        for rows, batch in _minibatches(lengths, config.batch_size):
            if should_stop():
                break
            chosen = samples[rows, batch]
            leaf = values[rows].detach().requires_grad_()
            with ConvolutionsOneByOne() if device.type == "cpu" else nullcontext():
                logits = forward(leaf, as_input(images[chosen]).movedim(-1, -3))
            loss = nn.functional.cross_entropy(
                logits.flatten(0, 1), labels[chosen].flatten(), reduction="none"
            )
            loss = loss.view(chosen.shape)
            (gradients,) = torch.autograd.grad(loss.mean(1).sum(), leaf)
            optimizer.step(rows, gradients)
            losses[rows, epoch] += loss.detach().sum(1)
        finite[:, epoch] = losses[:, epoch].isfinite() & values.isfinite().all(1)
    return losses / torch.tensor(lengths, device=device)[:, None], finite


def _stacked_forward(
    model: nn.Module,
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The network as (float32[k, d], float32[k, n, 3, 32, 32]) → logits float32[k, n, classes]."""
    named = sorted_parameters(model)
    names = [name for name, _ in named]
    shapes = [parameter.shape for _, parameter in named]
    sizes = [parameter.numel() for _, parameter in named]

    def forward(row: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        parts = torch.split(row, sizes)
        parameters = {
            name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)
        }
        logits: torch.Tensor = torch.func.functional_call(model, parameters, (images,))
        return logits

    return torch.func.vmap(forward, randomness="different")


def _draw_samples(lengths: Sequence[int], orders: Sequence[torch.Generator]) -> torch.Tensor:
    """Each vehicle's next epoch as a row of indices into all crops, int64[k, longest].

    Rows of shorter vehicles end in zeros, which no minibatch reaches.
    """
    samples = torch.zeros(len(lengths), lengths[0], dtype=torch.int64)
    first = 0
    for row, length, order in zip(samples, lengths, orders, strict=True):
        row[:length] = torch.randperm(length, generator=order) + first
        first += length
    return samples


def _minibatches(lengths: Sequence[int], size: int) -> Iterator[tuple[slice, slice]]:
    """One epoch as (vehicles, samples), such that all minibatches of an item are equally long.

    `lengths` fall, so the vehicles that still have a full minibatch are the first ones. Ragged
    last minibatches aren't padded, since crops of one minibatch may act on each other (batch norm).
    """
    full = [length // size for length in lengths]
    for step in range(full[0]):
        active = sum(count > step for count in full)
        yield slice(0, active), slice(step * size, (step + 1) * size)
    first = 0
    for length, equal in groupby(lengths):
        rows = slice(first, first := first + len(list(equal)))
        if length % size:
            yield rows, slice(length - length % size, length)
