"""Small crop folders that a network can learn: one colour a class, with noise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE

COLOURS = {"red_circle": (230, 20, 20), "green_circle": (20, 220, 60), "off": (40, 40, 40)}


def write_crops(folder: Path, per_class: int, seed: int = 0) -> Path:
    """`<folder>/<class>/<id>.png`, RGB 32×32, of the classes in COLOURS."""
    rng = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for index in range(per_class):
            rgb = np.clip(rng.normal(colour, 25, (32, 32, 3)), 0, 255).astype(np.uint8)
            assert cv2.imwrite(str(folder / name / f"{index:04d}.png"), rgb[:, :, ::-1])
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vehicle's dataset: 60 training and 15 validation crops of three classes."""
    root = tmp_path_factory.mktemp("dataset")
    write_crops(root / "train", 20, seed=1)
    write_crops(root / "val", 5, seed=2)
    return root


@pytest.fixture(scope="session")
def worker() -> Iterator[TrainingWorker]:
    """One real worker process for all tests: its import of torch takes seconds."""
    allowed = (DEFAULT_ARCHITECTURE, "learning_test_networks:killer", "learning_test_networks:loud")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent / "networks"))
        worker = TrainingWorker(device="cpu", allowed_architectures=allowed)
    with worker:
        yield worker
