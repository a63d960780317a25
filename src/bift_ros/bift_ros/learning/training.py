"""Local training: E epochs of minibatch descent on the vehicle's own crops."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from bift_ros.learning.data import Crops, as_input
from bift_ros.learning.errors import JobCancelled, NoTrainingData, TrainingDiverged
from bift_ros.learning.jobs import EpochProgress, TrainingConfig
from bift_ros.learning.optimizers import FlatParameters, make_optimizer


@dataclass(frozen=True)
class LocalTraining:
    """What a local training gave, besides the network it changed."""

    losses: tuple[float, ...]  # mean cross entropy per epoch, in nats
    seconds: float


def train_local(
    model: nn.Module,
    crops: Crops,
    config: TrainingConfig,
    device: torch.device,
    on_epoch: Callable[[EpochProgress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> LocalTraining:
    """Train a network in place; on one CPU the same seed gives the same parameters.

    `should_stop` is asked before every minibatch. Raises NoTrainingData, TrainingDiverged where
    the loss or a parameter is not finite at the end of an epoch, and JobCancelled.
    """
    if len(crops) == 0:
        raise NoTrainingData("there is no crop to train on")
    started = time.monotonic()
    torch.manual_seed(config.seed)  # of dropout, where a network has it
    order = torch.Generator().manual_seed(config.seed)
    model.to(device).train()
    crops = crops.to(device)
    parameters = FlatParameters(model)
    optimizer = make_optimizer(config.optimizer, parameters, config.learning_rate)
    losses = []
    for epoch in range(1, config.local_epochs + 1):
        total = torch.zeros((), device=device)  # stays on the device: no wait at every minibatch
        permutation = torch.randperm(len(crops), generator=order).to(device)
        for batch in torch.split(permutation, config.batch_size):
            if should_stop():
                raise JobCancelled(f"training was cancelled in epoch {epoch}")
            logits = model(as_input(crops.images[batch]))
            loss = nn.functional.cross_entropy(logits, crops.labels[batch])
            torch.autograd.backward(loss)
            optimizer.step()
            total += loss.detach() * len(batch)
        mean = float(total) / len(crops)
        if not (torch.isfinite(total) and torch.isfinite(parameters.values).all()):
            raise TrainingDiverged(diverged(epoch, mean, config))
        losses.append(mean)
        on_epoch(EpochProgress(epoch, config.local_epochs, mean))
    return LocalTraining(tuple(losses), time.monotonic() - started)


def diverged(epoch: int, mean_loss: float, config: TrainingConfig) -> str:
    """What to say of a training whose loss or parameters are no longer finite."""
    return (
        f"training diverged in epoch {epoch} (mean loss {mean_loss}); nothing is published; "
        f"a learning rate below {config.learning_rate} may help"
    )


def choose_device(name: str, memory_mb: int) -> torch.device:
    """The device for `auto`, `cpu`, `cuda` or `cuda:N`; `auto` takes CUDA where there is one.

    On CUDA this process's share of the GPU's memory is capped at memory_mb MiB, so that several
    vehicles can share one GPU. Raises ValueError for a device that isn't there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(f"device {name!r} is asked for, but torch finds no CUDA GPU here")
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, memory_mb * 2**20 / total), device)
    return device
