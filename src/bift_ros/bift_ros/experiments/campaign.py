"""Many runs at once: the vehicles of several federations train together in one batch.

On a GPU a step of a few hundred vehicles costs little more than one of thirty. And what several
runs would train alike is trained once: a rule that leaves out all attackers gives one and the same
model under many attacks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from bift_ros.experiments import kept_runs
from bift_ros.experiments.attacked import AttackedFederation, Settings, State
from bift_ros.experiments.datasets import Dataset
from bift_ros.learning.batched import train_batched
from bift_ros.learning.data import Crops
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE
from bift_ros.learning.models import build_model
from bift_ros.perception.classes import CLASSES
from bift_ros.pofl.codec import decode_model

TOGETHER = {"cpu": 12, "cuda": 25}
"""Runs that train in one batch: 750 vehicles with the paper's settings fill a large GPU."""


@dataclass
class _Run:
    federation: AttackedFederation
    state: State


class _Training(NamedTuple):
    """All that a vehicle's trained model depends on, besides what all runs have in common."""

    model: bytes  # digest
    crops: bytes  # digest
    seed: int


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
    # Each thread aggregates and tests one run: torch must not start more threads within it.
    with ThreadPoolExecutor(
        len(os.sched_getaffinity(0)), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        while queue or active:
            while queue and len(active) < TOGETHER[device.type]:
                settings = queue.pop(0)
                model = build_model(DEFAULT_ARCHITECTURE, len(CLASSES), settings.seed)
                federation = AttackedFederation(settings, data, model, device)
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
    """Each run's trained models float32[vehicles, d], all from one batch."""
    wanted: list[list[_Training]] = []
    found: dict[_Training, tuple[np.ndarray, Crops]] = {}
    for run in runs:
        federation, model = run.federation, sha256(run.state.model.tobytes()).digest()
        vehicles = zip(federation.crop_digests, federation.seeds(run.state), strict=True)
        trainings = [_Training(model, crops, seed) for crops, seed in vehicles]
        start = decode_model(run.state.model)
        found |= {t: (start, crops) for t, crops in zip(trainings, federation.crops, strict=True)}
        wanted.append(trainings)
    trained = train_batched(
        build_model(DEFAULT_ARCHITECTURE, len(CLASSES)),
        [crops for _, crops in found.values()],
        np.stack([start for start, _ in found.values()]),
        runs[0].federation.settings.config(),
        [training.seed for training in found],
        device,
    )
    rows = {training: row for row, training in enumerate(found)}
    return [trained.parameters[[rows[training] for training in each]] for each in wanted]
