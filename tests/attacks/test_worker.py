"""A malicious vehicle alone: what it trains, what it knows, and its real worker process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from bift_ros.attacks.interface import Attack, View
from bift_ros.attacks.registry import ATTACKS, make_attack
from bift_ros.attacks.worker import LoneAttacker
from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import WorkerCrashed
from bift_ros.learning.jobs import InitJob, TrainingConfig, TrainJob
from bift_ros.learning.local_round import Images, Labels, LocalRound, Parameters
from bift_ros.perception.classes import CLASS_INDEX
from bift_ros.pofl.codec import UPDATE_EXPONENT
from bift_ros.pofl.files import parse_model, parse_update

DEADLINE = 120  # seconds; the first job waits for the import of torch
SIZE = 12


class Trainings:
    """Stands for the training: it notes what it is given, and moves the model by the labels."""

    def __init__(self) -> None:
        self.calls: list[tuple[Images, Labels, int]] = []

    def local_round(self, start: float = 0.0, seed: int = 3) -> LocalRound:
        rng = np.random.default_rng(1)
        images = rng.integers(0, 256, (40, 3, 32, 32), np.uint8)
        model = np.full(SIZE, start, np.float32)

        def train(images: Images, labels: Labels, seed: int) -> Parameters:
            self.calls.append((images, labels, seed))
            moved: Parameters = model + np.float32(labels.mean() / 100)
            return moved

        return LocalRound(images, np.arange(40) % 10, model, seed, train)


class Noting(Attack):
    """Keeps the views that it was given."""

    trainings = 3

    def __init__(self) -> None:
        self.views: list[View] = []

    def vectors(self, view: View) -> np.ndarray:
        self.views.append(view)
        return view.own


@pytest.mark.parametrize("name", ATTACKS)
def test_it_sends_what_the_attack_crafts_from_its_own_trainings(name: str) -> None:
    trainings = Trainings()
    local_round = trainings.local_round()
    local = LoneAttacker(make_attack(name))(local_round)
    assert local.shape == (SIZE,)
    assert np.isfinite(local).all()
    assert len(trainings.calls) == make_attack(name).trainings
    assert np.array_equal(local, LoneAttacker(make_attack(name))(local_round))


def test_the_first_training_is_on_its_own_crops_and_the_others_on_samples_of_them() -> None:
    trainings, attack = Trainings(), Noting()
    local_round = trainings.local_round(seed=8)
    LoneAttacker(attack)(local_round)
    (images, labels, seed), *others = trainings.calls
    assert np.array_equal(images, local_round.images)
    assert np.array_equal(labels, local_round.labels)
    assert seed == 8
    owned = {crop.tobytes(): label for crop, label in zip(images, labels, strict=True)}
    for images, labels, other_seed in others:
        assert other_seed != seed
        assert len(labels) == 40
        assert len({crop.tobytes() for crop in images}) < 40
        for crop, label in zip(images, labels, strict=True):
            assert owned[crop.tobytes()] == label
    (view,) = attack.views
    assert view.knowledge == "own"
    assert view.honest.shape == (3, SIZE)
    assert np.array_equal(view.own, view.honest[:1])


def test_crops_are_poisoned_before_they_are_trained_on() -> None:
    trainings = Trainings()
    LoneAttacker(make_attack("label_flip"))(trainings.local_round())
    ((_, labels, _),) = trainings.calls
    assert CLASS_INDEX["green_circle"] not in labels
    assert CLASS_INDEX["yellow_circle"] in labels


def test_it_remembers_how_the_global_model_moved() -> None:
    attack, trainings = Noting(), Trainings()
    attacker = LoneAttacker(attack)
    for start in (0.5, 0.75, 0.75, 0.25):
        attacker(trainings.local_round(start))
    other_task = trainings.local_round()
    attacker(replace(other_task, global_model=np.zeros(SIZE, np.float32)))
    moved = [float(view.previous[0]) for view in attack.views]
    assert moved == [0.0, 0.25, 0.25, -0.5, -0.25]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for name, bgr in (
            ("red_circle", (20, 20, 230)),
            ("green_circle", (20, 220, 20)),
        ):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                crop = np.clip(rng.normal(bgr, 20, (32, 32, 3)), 0, 255)
                cv2.imwrite(str(folder / split / name / f"{number}.png"), crop.astype(np.uint8))
    return folder


def worker(*program: str) -> TrainingWorker:
    return TrainingWorker(device="cpu", program=program)


@pytest.fixture(scope="module")
def honest() -> Iterator[TrainingWorker]:
    with worker("bift_ros.learning.worker") as process:
        yield process


@pytest.fixture(scope="module")
def model(honest: TrainingWorker) -> bytes:
    return honest.submit(InitJob(seed=7)).result(DEADLINE).model


@pytest.mark.parametrize("name", ["label_flip", "sign_flip", "free_rider_copy"])
def test_the_process_trains_and_attacks(
    name: str, honest: TrainingWorker, model: bytes, dataset: Path
) -> None:
    job = TrainJob(model, dataset, TrainingConfig(local_epochs=2, seed=5))
    clean = honest.submit(job).result(DEADLINE)
    with worker("bift_ros.attacks.worker", "--attack", name) as attacker:
        result = attacker.submit(job).result(DEADLINE)
    spec = parse_model(model)[0]
    update, own = (parse_update(r.update, spec, UPDATE_EXPONENT) for r in (result, clean))
    assert result.sample_count == clean.sample_count == 24
    if name == "sign_flip":
        assert np.abs(update.astype(int) + own).max() <= 1
    elif name == "free_rider_copy":
        assert not update.any()
        assert result.losses == ()
    else:
        assert not np.array_equal(update, own)
        assert result.losses[-1] < clean.losses[-1]  # one class is easier than two


def test_an_unknown_attack_ends_the_process_with_its_reason(model: bytes, dataset: Path) -> None:
    with (
        worker("bift_ros.attacks.worker", "--attack", "flip") as attacker,
        pytest.raises(WorkerCrashed, match="unknown attack 'flip': choose one of label_flip"),
    ):
        attacker.submit(TrainJob(model, dataset)).result(DEADLINE)
