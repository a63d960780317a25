"""Many runs at once: the vehicles of several federations train together in one batch.

On a GPU a step of a few hundred vehicles costs little more than one of thirty. And what several
runs would train alike is trained once: a rule that leaves out all attackers gives one and the same
model under many attacks.

On the CPU a run's bytes depend on nothing but the run and the processor. Float sums round by what
is summed together, so its vehicles train in chunks of their own, and one thread does all the sums
of a chunk, and those of a run's crafting and testing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from bift_ros.experiments import kept_runs
from bift_ros.experiments.datasets import Dataset
from bift_ros.experiments.federation import Federation, Settings, State, floats
from bift_ros.learning.batched import train_batched
from bift_ros.learning.data import Crops
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE
from bift_ros.learning.models import build_model
from bift_ros.perception.classes import CLASSES

TOGETHER = {"cpu": 12, "cuda": 25}
"""Runs that train in one batch: 750 vehicles with the paper's settings fill a large GPU."""


@dataclass
class _Run:
    federation: Federation
    state: State


class _Training(NamedTuple):
    """All that a vehicle's trained model depends on, besides what all runs have in common."""

    model: bytes  # digest
    crops: bytes  # digest
    seed: int


_Chunk = tuple[_Training, ...]


def run_all(
    wanted: Sequence[Settings],
    iterations: int,
    data: Dataset,
    folder: Path,
    device: torch.device,
    report: Callable[[Settings, State, bool], None] = lambda settings, state, new: None,
) -> dict[Settings, State]:
    """Bring runs to so many iterations, from where the folder has them.

    `report` hears of each kept run and of each new iteration. A run that has more iterations is
    given as it is. All must train alike (`Settings.config`). Raises RunError and SplitError.
    """
    states = {settings: kept_runs.load(folder, settings) for settings in wanted}
    for settings, state in states.items():
        if state:
            report(settings, state, False)
    results = {s: state for s, state in states.items() if state and state.iterations >= iterations}
    queue = [settings for settings in states if settings not in results]
    active: list[_Run] = []
    # Each thread aggregates and tests one run: no library must start more threads within it.
    with (
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(
            len(os.sched_getaffinity(0)), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool,
    ):
        while queue or active:
            while queue and len(active) < TOGETHER[device.type]:
                settings = queue.pop(0)
                model = build_model(DEFAULT_ARCHITECTURE, len(CLASSES), settings.seed)
                federation = Federation(settings, data, model, device)
                active.append(_Run(federation, states[settings] or federation.begin()))
            for run, state in zip(
                active, pool.map(_step, active, _train(active, device)), strict=True
            ):
                run.state = state
                kept_runs.save(folder, run.federation.settings, state)
                report(run.federation.settings, state, True)
            for run in active:
                if run.state.iterations >= iterations:
                    results[run.federation.settings] = run.state
            active = [run for run in active if run.state.iterations < iterations]
    return {settings: results[settings] for settings in wanted}


def _step(run: _Run, trained: np.ndarray) -> State:
    return run.federation.step(run.state, trained)


def _train(runs: Sequence[_Run], device: torch.device) -> list[np.ndarray]:
    """Each run's trained models float32[vehicles, d], all from one batch.

    Chunks that several runs have in common are trained once: their honest vehicles' most often.
    """
    wanted: list[list[_Chunk]] = []
    found: dict[_Chunk, tuple[np.ndarray, list[Crops]]] = {}
    for run in runs:
        federation, model = run.federation, sha256(run.state.model.tobytes()).digest()
        start = floats(run.state.model)
        vehicles = zip(federation.crop_digests, federation.seeds(run.state), strict=True)
        trainings = iter([_Training(model, crops, seed) for crops, seed in vehicles])
        crops = iter(federation.crops)
        chunks = []
        for size in federation.chunks:
            chunks.append(tuple(islice(trainings, size)))
            found[chunks[-1]] = start, list(islice(crops, size))
        wanted.append(chunks)
    trained = train_batched(
        build_model(DEFAULT_ARCHITECTURE, len(CLASSES)),
        [each for _, crops in found.values() for each in crops],
        np.concatenate([[start] * len(chunk) for chunk, (start, _) in found.items()]),
        runs[0].federation.settings.config(),
        [training.seed for chunk in found for training in chunk],
        device,
        [len(chunk) for chunk in found],
    )
    ends = np.cumsum([len(chunk) for chunk in found])
    models = dict(zip(found, np.split(trained.parameters, ends[:-1]), strict=True))
    return [np.concatenate([models[chunk] for chunk in chunks]) for chunks in wanted]
