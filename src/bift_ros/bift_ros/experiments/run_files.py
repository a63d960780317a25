"""Files of kept runs: no pickle, replaced whole, refused where they are damaged or another's."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class RunError(ValueError):
    """A kept run can't be gone on with, with the remedy."""


def write_run(path: Path, settings: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a run's file, or replace it whole."""
    temporary = path.with_suffix(".part")
    content: dict[str, Any] = {"settings": np.array(settings), **arrays}
    with temporary.open("wb") as file:
        np.savez(file, **content)
    os.replace(temporary, path)


def read_run(path: Path, settings: str, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of these names. Raises RunError for a damaged file or another run's."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            found = str(kept["settings"])
            arrays = {name: kept[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged ({error}): remove it to run it again") from error
    if found != settings:
        raise RunError(
            f"{path} is a run with {found}, asked for is {settings}: name another --runs, or "
            "remove it"
        )
    return arrays
