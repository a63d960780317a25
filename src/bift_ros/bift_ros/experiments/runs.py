"""Runs of a federation that outlive their process: kept after every iteration, gone on with later.

Three arms, from the same start, on the same split, with the same order of samples:

- `float32`: the global model is the sample-weighted mean of the local models, in float32;
- `fixed_point`: int16 updates and an int32 global model, by the very code of a vehicle. In every
  iteration the same local models are also averaged in float32 and that model is measured, too,
  then dropped: the pair differs by nothing but fixed point;
- `control`: float32 again, its start moved by one unit in the last place of every parameter.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bift_ros.experiments.federation import (
    Federation,
    Flat,
    average_fixed_point,
    average_float32,
)
from bift_ros.experiments.run_files import read_run, write_run
from bift_ros.pofl.codec import Int32Array, decode_model

ARMS: tuple[str, ...] = ("fixed_point", "float32", "control")


@dataclass(frozen=True)
class Run:
    """One arm of one seed so far."""

    model: npt.NDArray[np.int32] | Flat  # [d]; int32 in the fixed_point arm
    accuracy: tuple[float, ...] = ()  # after each iteration, in percent
    paired: tuple[float, ...] = ()  # fixed_point arm: of float32 on the same local models

    def first(self, iterations: int) -> Run:
        """The record of the first iterations (the model stays the last one's)."""
        return Run(self.model, self.accuracy[:iterations], self.paired[:iterations])


def run(
    federation: Federation,
    arm: str,
    iterations: int,
    folder: Path,
    say: Callable[[str], None] = lambda text: None,
) -> Run:
    """Run an arm up to a number of iterations, from where the folder has it.

    Raises RunError where the folder holds a damaged file, or a run with other settings
    or on other crops.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed{federation.settings.seed}-{arm}.npz"
    settings = json.dumps(
        asdict(federation.settings) | {"data": federation.data_digest}, sort_keys=True
    )
    state = _load(path, settings) if path.exists() else _begin(federation, arm)
    for iteration in range(len(state.accuracy), iterations):
        state = _step(federation, state, iteration)
        _save(path, settings, state)
        pair = "".join(f", averaged in float32 {value:.2f} %" for value in state.paired[-1:])
        say(
            f"seed {federation.settings.seed}, {arm}, iteration {iteration + 1}: "
            f"{state.accuracy[-1]:.2f} %{pair}"
        )
    return state.first(iterations)


def _begin(federation: Federation, arm: str) -> Run:
    if arm == "fixed_point":
        return Run(federation.start)
    start = decode_model(federation.start)
    return Run(start if arm == "float32" else np.nextafter(start, np.float32(np.inf)))


def _step(federation: Federation, state: Run, iteration: int) -> Run:
    if state.model.dtype == np.int32:
        before: Int32Array = state.model.astype(np.int32, copy=False)
        local = federation.train(decode_model(before), iteration)
        after = average_fixed_point(before, local, iteration)
        return Run(
            after,
            (*state.accuracy, federation.accuracy(decode_model(after))),
            (*state.paired, federation.accuracy(average_float32(local))),
        )
    model = average_float32(federation.train(state.model.astype(np.float32, copy=False), iteration))
    return replace(state, model=model, accuracy=(*state.accuracy, federation.accuracy(model)))


def _save(path: Path, settings: str, state: Run) -> None:
    accuracy, paired = np.array(state.accuracy), np.array(state.paired)
    write_run(path, settings, {"model": state.model, "accuracy": accuracy, "paired": paired})


def _load(path: Path, settings: str) -> Run:
    kept = read_run(path, settings, ("model", "accuracy", "paired"))
    return Run(kept["model"], tuple(kept["accuracy"].tolist()), tuple(kept["paired"].tolist()))
