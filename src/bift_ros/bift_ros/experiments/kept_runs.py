"""Runs kept on disk after every iteration: no pickle, replaced whole, refused where they don't fit.

A run's file is named by its settings, so tables and figures that ask for the same run share it, and
more iterations go on from those there are.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bift_ros.experiments.attacked import Settings, State
from bift_ros.experiments.run_files import RunError, read_run, write_run


def path_of(folder: Path, settings: Settings) -> Path:
    """Where a run is kept."""
    digest = hashlib.sha256(settings.as_json().encode()).hexdigest()[:12]
    return folder / f"{settings.attack}-{settings.rule}-seed{settings.seed}-{digest}.npz"


def save(folder: Path, settings: Settings, state: State) -> None:
    """Write the run's file, or replace it whole."""
    path = path_of(folder, settings)
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, npt.NDArray[Any]] = {
        "model": state.model,
        "previous": state.previous,
        "accuracy": np.array(state.accuracy, np.float64),
        "backdoor": np.array(state.backdoor, np.float64),
        "sent": np.array(state.sent, bool),
        "contributed": np.array(state.contributed, bool),
    }
    write_run(path, settings.as_json(), arrays)


def load(folder: Path, settings: Settings) -> State | None:
    """The run as far as it is, or None.

    Raises RunError for a damaged file, another run's, or one that lacks a measurement.
    """
    path = path_of(folder, settings)
    if not path.exists():
        return None
    kept = read_run(path, settings.as_json(), [field.name for field in fields(State)])
    state = State(
        model=kept["model"],
        previous=kept["previous"],
        accuracy=tuple(kept["accuracy"].tolist()),
        backdoor=tuple(kept["backdoor"].tolist()),
        sent=tuple(map(tuple, kept["sent"].tolist())),
        contributed=tuple(map(tuple, kept["contributed"].tolist())),
    )
    if len(state.backdoor) != (state.iterations if settings.backdoor() else 0):
        raise RunError(
            f"{path} has the backdoor's success for {len(state.backdoor)} of {state.iterations} "
            "iterations (an older version kept it): remove it to run it again"
        )
    return state
