"""From a table's or figure's cases to its rows: the runs behind them, on one device."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bift_ros.experiments.campaign import run_all
from bift_ros.experiments.datasets import Dataset
from bift_ros.experiments.federation import Settings, State
from bift_ros.experiments.plan import Case
from bift_ros.experiments.results import row_of
from bift_ros.learning.training import choose_device

_ALL_OF_A_GPU = 2**20  # MiB


def reproduce(
    experiment: str,
    runs: Sequence[tuple[Case, Settings]],
    iterations: int,
    data: Dataset,
    folder: Path,
    device: str,
    report: Callable[[Settings, State, bool], None],
) -> list[dict[str, Any]]:
    """A row for each case and run, in their order; ``folder`` keeps the runs.

    `report` and errors are `campaign.run_all`'s; also raises ValueError or RuntimeError for a
    device that isn't there.
    """
    wanted = list(dict.fromkeys(settings for _, settings in runs))
    chosen = choose_device(device, _ALL_OF_A_GPU)
    states = run_all(wanted, iterations, data, folder, chosen, report)
    return [row_of(experiment, case, run, states[run], iterations) for case, run in runs]


def surroundings(device: str) -> dict[str, Any]:
    """What the numbers were computed with: `device` and `versions`."""
    chosen = choose_device(device, _ALL_OF_A_GPU)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else "CPU"
    versions = {
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "NumPy": np.__version__,
    }
    return {"device": name, "versions": versions}
