"""Runs kept on disk after every iteration: no pickle, replaced whole, refused where they don't fit.

A run's file is named by its settings, so tables and figures that ask for the same run share it, and
more iterations go on from those there are.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np

from bift_ros.experiments.attacked import Settings, State
from bift_ros.experiments.runs import RunError


def path_of(folder: Path, settings: Settings) -> Path:
    """Where a run is kept."""
    digest = hashlib.sha256(settings.as_json().encode()).hexdigest()[:12]
    return folder / f"{settings.attack}-{settings.rule}-seed{settings.seed}-{digest}.npz"


def save(folder: Path, settings: Settings, state: State) -> None:
    """Write the run's file, or replace it whole."""
    path = path_of(folder, settings)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(
            file,
            settings=np.array(settings.as_json()),
            model=state.model,
            previous=state.previous,
            accuracy=np.array(state.accuracy, np.float64),
            backdoor=np.array(state.backdoor, np.float64),
            sent=np.array(state.sent, bool),
            contributed=np.array(state.contributed, bool),
        )
    os.replace(temporary, path)


def load(folder: Path, settings: Settings) -> State | None:
    """The run as far as it is, or None. Raises RunError for a damaged file or another run's."""
    path = path_of(folder, settings)
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            found = str(kept["settings"])
            state = State(
                model=kept["model"],
                previous=kept["previous"],
                accuracy=tuple(kept["accuracy"].tolist()),
                backdoor=tuple(kept["backdoor"].tolist()),
                sent=tuple(map(tuple, kept["sent"].tolist())),
                contributed=tuple(map(tuple, kept["contributed"].tolist())),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged ({error}): remove it to run it again") from error
    if found != settings.as_json():
        raise RunError(
            f"{path} is a run with {found}, asked for is {settings.as_json()}: name another "
            "--runs, or remove it"
        )
    return state
