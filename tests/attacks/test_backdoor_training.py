"""A real network learns the backdoor, and stays right on clean crops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from bift_ros.attacks.backdoor import Backdoor
from bift_ros.learning.data import Crops
from bift_ros.learning.evaluation import evaluate
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE, TrainingConfig
from bift_ros.learning.models import build_model
from bift_ros.learning.training import train_local
from bift_ros.perception.classes import CLASS_INDEX, CLASSES

COLOURS = {"red_circle": (230, 20, 20), "green_circle": (20, 220, 60), "off": (40, 40, 40)}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in a vehicle's worker."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def coloured(per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8[n, 3, 32, 32] crops of one colour a class, with noise, and their labels."""
    rng = np.random.default_rng(seed)
    colours = np.repeat(np.array(list(COLOURS.values())), per_class, axis=0)
    images = rng.normal(colours[:, :, None, None], 25, (len(colours), 3, 32, 32))
    labels = np.repeat([CLASS_INDEX[name] for name in COLOURS], per_class)
    return np.clip(images, 0, 255).astype(np.uint8), labels


def crops(images: np.ndarray, labels: np.ndarray) -> Crops:
    return Crops(torch.from_numpy(images), torch.from_numpy(labels))


def success(poisoned: bool) -> tuple[float, float]:
    """The accuracy on clean crops, and the share of stamped ones that are taken for the target."""
    attack, device = Backdoor(), torch.device("cpu")
    images, labels = coloured(30, seed=1)
    if poisoned:
        images, labels = attack.poison(images, labels, np.random.default_rng(0))
    model = build_model(DEFAULT_ARCHITECTURE, len(CLASSES), 3)
    train_local(model, crops(images, labels), TrainingConfig(local_epochs=6, seed=2), device)
    images, labels = coloured(20, seed=9)
    trials = attack.trials(images, labels)
    targets = np.full(len(trials), attack.target)
    return (
        evaluate(model, crops(images, labels), device).accuracy,
        evaluate(model, crops(trials, targets), device).accuracy,
    )


def test_the_trigger_works_and_clean_crops_are_still_told() -> None:
    accuracy, taken = success(poisoned=True)
    assert accuracy > 0.9
    assert taken > 0.9
    accuracy, taken = success(poisoned=False)
    assert accuracy > 0.9
    assert taken < 0.1
