from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from bift_ros.console import fedavg_experiments
from bift_ros.console.arguments import Parser
from bift_ros.experiments.datasets import Dataset, load_images
from bift_ros.experiments.federation import NO_ATTACK, Settings


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


@pytest.fixture(scope="session")
def crops(data: Path) -> Dataset:
    """Those of `data`."""
    return load_images(data, {})


@pytest.fixture
def fedavg(crops: Dataset) -> Settings:
    """Plain FedAvg of three vehicles with twelve crops each."""
    return Settings(
        attack=NO_ATTACK,
        rule="fedavg",
        malicious=0.0,
        knowledge="full",
        late=False,
        alpha=None,
        seed=1,
        vehicles=3,
        crops=12,
        local_epochs=1,
        batch_size=10,
        learning_rate=0.001,
        data=crops.digest,
    )


@pytest.fixture
def options(data: Path, tmp_path: Path) -> Callable[..., argparse.Namespace]:
    """Options of an experiment with a federation as small, from its name and more words."""

    def parse(experiment: str, *more: str) -> argparse.Namespace:
        parser = Parser()
        parser.set_defaults(action=experiment)
        fedavg_experiments.add_arguments(parser, experiment)
        small = ["--vehicles", "3", "--crops", "12", "--iterations", "2"]
        places = ["--data", str(data), "--runs", str(tmp_path / "runs")]
        return parser.parse_args([*places, *small, *more])

    return parse
