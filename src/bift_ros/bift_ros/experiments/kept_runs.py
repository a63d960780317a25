"""Runs kept on disk after every iteration: no pickle, replaced whole, refused where they don't fit.

A run's file is named by its settings, so tables and figures that ask for the same run share it, and
more iterations go on from those there are.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bift_ros.experiments.federation import Settings, State

_MEASURED: dict[str, type] = {
    "accuracy": float,
    "backdoor": float,
    "sent": bool,
    "contributed": bool,
    "paired": float,
}
"""The fields of a state with an entry for each iteration, and what the entries are of."""


class RunError(ValueError):
    """A kept run can't be gone on with, with the remedy."""


def path_of(folder: Path, settings: Settings) -> Path:
    """Where a run is kept."""
    digest = hashlib.sha256(settings.as_json().encode()).hexdigest()[:12]
    return folder / f"{settings.attack}-{settings.rule}-seed{settings.seed}-{digest}.npz"


def save(folder: Path, settings: Settings, state: State) -> None:
    """Write the run's file, or replace it whole."""
    path = path_of(folder, settings)
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        "settings": np.array(settings.as_json()),
        "model": state.model,
        "previous": state.previous,
        **{name: np.array(getattr(state, name), kind) for name, kind in _MEASURED.items()},
    }
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(temporary, path)


def load(folder: Path, settings: Settings) -> State | None:
    """The run as far as it is, or None.

    Raises RunError for a damaged file, another run's, or one that lacks a measurement.
    """
    path = path_of(folder, settings)
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            found = str(kept["settings"])
            model, previous = kept["model"], kept["previous"]
            # Earlier versions kept no paired measurement, and had none to keep.
            measured = {n: _tuples(kept[n]) for n in _MEASURED if n in kept or n != "paired"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged ({error}): remove it to run it again") from error
    if found != settings.as_json():
        raise RunError(
            f"{path} is a run with {found}, asked for is {settings.as_json()}: name another "
            "--runs, or remove it"
        )
    state = State(model, previous, **measured)
    if len(state.backdoor) != (state.iterations if settings.backdoor() else 0):
        raise RunError(
            f"{path} has the backdoor's success for {len(state.backdoor)} of {state.iterations} "
            "iterations (an older version kept it): remove it to run it again"
        )
    return state


def _tuples(array: npt.NDArray[Any]) -> tuple[Any, ...]:
    values = array.tolist()
    return tuple(map(tuple, values)) if array.ndim == 2 else tuple(values)
