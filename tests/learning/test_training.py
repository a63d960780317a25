from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from bift_ros.learning.data import Crops, load_crops, load_training_crops
from bift_ros.learning.errors import JobCancelled, NoTrainingData, TrainingDiverged
from bift_ros.learning.evaluation import evaluate
from bift_ros.learning.jobs import OPTIMIZERS, EpochProgress, TrainingConfig
from bift_ros.learning.models import read_parameters, traffic_light_cnn
from bift_ros.learning.optimizers import FlatParameters, make_optimizer
from bift_ros.learning.training import choose_device, train_local
from bift_ros.perception.classes import CLASS_INDEX

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def crops_of(labels: list[int]) -> Crops:
    """One flat grey a class: trivially learnt."""
    images = torch.tensor(labels, dtype=torch.uint8)[:, None, None, None] * 25
    return Crops(images.expand(-1, 3, 32, 32).contiguous(), torch.tensor(labels))


def model_of(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return traffic_light_cnn()


def test_a_folder_is_read_in_the_fixed_class_order(dataset: Path) -> None:
    crops = load_crops(dataset / "train")
    assert crops.images.shape == (60, 3, 32, 32)
    assert crops.images.dtype == torch.uint8
    assert set(crops.labels.tolist()) == {
        CLASS_INDEX[name] for name in ("red_circle", "green_circle", "off")
    }
    red = crops.images[crops.labels == CLASS_INDEX["red_circle"]].float().mean(dim=(0, 2, 3))
    assert red[0] > 200 > 60 > red[2]  # RGB, not OpenCV's BGR


def test_what_is_no_crop_is_counted_and_skipped(tmp_path: Path) -> None:
    folder = tmp_path / "red_circle"
    folder.mkdir()
    good = np.zeros((32, 32, 3), np.uint8)
    cv2.imwrite(str(folder / "good.png"), good)
    cv2.imwrite(str(folder / "large.png"), np.zeros((64, 64, 3), np.uint8))
    (folder / "torn.png").write_bytes((folder / "good.png").read_bytes()[:40])
    (folder / "empty.png").touch()
    (folder / "folder.png").mkdir()
    (tmp_path / "purple_circle").mkdir()
    cv2.imwrite(str(tmp_path / "purple_circle" / "a.png"), good)
    crops = load_crops(tmp_path)
    assert (len(crops), crops.skipped) == (1, 5)


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_no_crop_at_all_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoTrainingData, match=name):
        load_training_crops(tmp_path / name)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_agree_with_torchs_own(name: str) -> None:
    ours, theirs = model_of(3), model_of(3)
    parameters = FlatParameters(ours)
    optimizer = make_optimizer(name, parameters, 0.01)
    oracle = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[name](theirs.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        images = torch.rand(10, 3, 32, 32, generator=generator)
        labels = torch.randint(0, 10, (10,), generator=generator)
        for model in (ours, theirs):
            nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        oracle.step()
        oracle.zero_grad()
    np.testing.assert_allclose(read_parameters(ours), read_parameters(theirs), atol=2e-4)
    np.testing.assert_array_equal(read_parameters(ours), parameters.values.numpy())


def test_training_learns_and_repeats_bit_for_bit() -> None:
    crops = crops_of([0, 4, 9] * 20)
    config = TrainingConfig(local_epochs=20, seed=4)
    seen: list[EpochProgress] = []
    models = [model_of(1), model_of(1), model_of(1)]
    first = train_local(models[0], crops, config, CPU, seen.append)
    train_local(models[1], crops, config, CPU)
    train_local(models[2], crops, TrainingConfig(local_epochs=20, seed=5), CPU)
    assert [p.epoch for p in seen] == list(range(1, 21))
    assert first.losses[-1] < first.losses[0] / 2
    np.testing.assert_array_equal(read_parameters(models[0]), read_parameters(models[1]))
    assert not np.array_equal(read_parameters(models[0]), read_parameters(models[2]))
    result = evaluate(models[0], crops, CPU)
    assert (result.accuracy, result.count) == (1.0, 60)


def test_evaluation_counts_per_class() -> None:
    class AlwaysFour(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return nn.functional.one_hot(torch.full((len(images),), 4), 10).float()

    result = evaluate(AlwaysFour(), crops_of([4] * 150 + [2] * 50), CPU)
    assert result.accuracy == 0.75
    assert result.per_class == {"red_straight": 1.0, "green_circle": 0.0}


@pytest.mark.parametrize("rate", [1e30, 1e38])
def test_divergence_is_reported_with_its_epoch(rate: float) -> None:
    config = TrainingConfig(learning_rate=rate, optimizer="sgd")
    with pytest.raises(TrainingDiverged, match="epoch 1"):
        train_local(model_of(1), crops_of([0, 1] * 20), config, CPU)


def test_a_stop_is_heard_between_minibatches() -> None:
    asked = iter([False, False, True])
    with pytest.raises(JobCancelled):
        train_local(
            model_of(1), crops_of([0] * 50), TrainingConfig(), CPU, should_stop=lambda: next(asked)
        )
    assert next(asked, None) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("local_epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("optimizer", "adagrad"),
        ("seed", -1),
    ],
)
def test_a_bad_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        TrainingConfig(**{field: value})  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_a_missing_gpu_is_named() -> None:
    assert choose_device("auto", 900) == CPU
    with pytest.raises(ValueError, match="no CUDA GPU"):
        choose_device("cuda", 900)
