from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from bift_ros.experiments.federation import Federation, Settings
from bift_ros.learning.data import load_training_crops


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty noisy crops of two classes, twice."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for channel, name in ((2, "red_circle"), (1, "green_circle")):
            (folder / split / name).mkdir(parents=True)
            for index in range(20):
                image = rng.integers(0, 120, (32, 32, 3), np.uint8)
                image[8:24, 8:24, channel] += 130
                assert cv2.imwrite(str(folder / split / name / f"{index}.png"), image)
    return folder


@pytest.fixture
def federation(data: Path) -> Federation:
    """Three vehicles with twelve crops each."""
    torch.set_num_threads(1)
    train, test = (load_training_crops(data / name) for name in ("train", "test"))
    return Federation(train, test, Settings(1, 3, 12, 1, 0.001))


@pytest.fixture
def options(data: Path, tmp_path: Path) -> Callable[..., argparse.Namespace]:
    """Options of an experiment on a federation as small, from its module and more words."""

    def parse(experiment: object, *more: str) -> argparse.Namespace:
        parser = argparse.ArgumentParser()
        experiment.add_arguments(parser)  # type: ignore[attr-defined]
        small = ["--vehicles", "3", "--crops", "12", "--iterations", "2"]
        places = ["--data", str(data), "--runs", str(tmp_path / "runs")]
        return parser.parse_args([*places, *small, *more])

    return parse
