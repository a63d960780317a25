"""A frame with labels and predictions, and the model that they come from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from bift_ros.chain.encryption import FileKey
from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import LearningError
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE, InitJob, PredictJob
from bift_ros.monitoring import global_model
from bift_ros.monitoring.camera_view import Prediction, WorkerPredictions, camera_view
from bift_ros.monitoring.colours import RIGHT, UNJUDGED, WRONG, Colour
from bift_ros.monitoring.global_model import GlobalModel, ModelFollower
from bift_ros.perception.classes import CLASSES, Label
from bift_ros.perception.crops import crop_region
from bift_ros.storage.embedded import EmbeddedStorage
from bift_ros.synthesis.scene import make_frame

DEADLINE = 240.0
FRAME = make_frame(np.random.default_rng(3))
CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def has(picture: np.ndarray, label: Label, colour: Colour) -> bool:
    return tuple(picture[label.y, label.x]) == colour[:3]


def answer(*classes: str):  # type: ignore[no-untyped-def]
    def predict(model: GlobalModel, crops: np.ndarray) -> Sequence[Prediction]:
        assert crops.shape == (len(classes), 32, 32, 3)
        return [(name, 0.9) for name in classes]

    return predict


def test_a_box_is_green_where_the_model_is_right_and_red_where_it_is_wrong() -> None:
    labels = [Label("red_circle", 50, 50, 20, 60), Label("off", 200, 50, 20, 60)]
    model = GlobalModel(CID, 4, b"model")
    picture = camera_view(FRAME.image, labels, model, answer("red_circle", "green_left"))
    assert has(picture, labels[0], RIGHT)
    assert has(picture, labels[1], WRONG)
    other = camera_view(FRAME.image, labels, model, answer("red_circle", "green_right"))
    assert (picture != other).any(), "the name of the predicted class is written"


def test_a_light_too_small_to_learn_from_is_not_judged() -> None:
    labels = [Label("off", 200, 50, 2, 2), Label("red_circle", 50, 50, 20, 60)]
    picture = camera_view(FRAME.image, labels, GlobalModel(CID, 4, b"m"), answer("red_circle"))
    assert has(picture, labels[0], UNJUDGED)
    assert has(picture, labels[1], RIGHT)


def test_without_a_usable_model_the_labels_are_shown_and_why() -> None:
    def fail(model: GlobalModel, crops: np.ndarray) -> Sequence[Prediction]:
        raise LearningError("another architecture")

    label = Label("off", 200, 50, 20, 60)
    pictures = [
        camera_view(FRAME.image, [label], model, fail)
        for model in (
            None,
            GlobalModel(CID, 1, problem="is encrypted for the fleet's members"),
            GlobalModel(CID, 1, b"model"),
        )
    ]
    assert all(has(picture, label, UNJUDGED) for picture in pictures)
    strips = [picture[FRAME.image.shape[0] :] for picture in pictures]
    assert len({strip.tobytes() for strip in strips}) == 3


def test_a_frame_without_lights_is_shown_as_it_is() -> None:
    picture = camera_view(FRAME.image, [], GlobalModel(CID, 1, b"model"), answer())
    assert (picture[: FRAME.image.shape[0]] == FRAME.image).all()


@pytest.fixture(scope="module")
def worker() -> Iterator[TrainingWorker]:
    with TrainingWorker(device="cpu") as worker:
        yield worker


def test_a_real_model_names_the_crops_of_a_frame(worker: TrainingWorker) -> None:
    file = worker.submit(InitJob(seed=1)).result(DEADLINE).model
    crops = np.stack([crop_region(FRAME.image, *label[1:]) for label in FRAME.labels])
    predict = WorkerPredictions(worker, DEFAULT_ARCHITECTURE)
    predictions = predict(GlobalModel(CID, 0, file), crops)
    assert len(predictions) == len(FRAME.labels) > 0
    assert all(name in CLASSES and 0.1 <= share <= 1 for name, share in predictions)
    one_by_one = [
        worker.submit(PredictJob(file, crop[None])).result(DEADLINE).classes[0] for crop in crops
    ]
    assert one_by_one == [name for name, _ in predictions]
    picture = camera_view(FRAME.image, FRAME.labels, GlobalModel(CID, 0, file), predict)
    for label, (name, _) in zip(FRAME.labels, predictions, strict=True):
        assert has(picture, label, RIGHT if name == label.signal_class else WRONG)


def test_a_model_that_is_none_is_the_jobs_error(worker: TrainingWorker) -> None:
    crops = np.zeros((1, 32, 32, 3), np.uint8)
    with pytest.raises(LearningError):
        WorkerPredictions(worker, DEFAULT_ARCHITECTURE)(GlobalModel(CID, 0, b"no model"), crops)


class Follow:
    """A follower, and a way to wait for what it says."""

    def __init__(self, folder: Path) -> None:
        self.storage = EmbeddedStorage(folder)
        self.follower = ModelFollower(self.storage)

    def until(
        self,
        cid: str,
        iteration: int,
        vehicle: EmbeddedStorage,
        condition: Callable[[GlobalModel], bool],
    ) -> GlobalModel:
        """Follow a CID until its model fulfils a condition."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            self.follower.follow(cid, iteration, [vehicle.url])
            current = self.follower.current
            if current is not None and current.cid == cid and condition(current):
                return current
            time.sleep(0.01)
        raise AssertionError(f"{cid} did not come within {DEADLINE} s")

    def close(self) -> None:
        self.storage.close()
        self.follower.close()


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Follow]:
    follow = Follow(tmp_path / "observer")
    yield follow
    follow.close()


@pytest.fixture
def vehicle(tmp_path: Path) -> Iterator[EmbeddedStorage]:
    with EmbeddedStorage(tmp_path / "vehicle") as storage:
        yield storage


def test_the_newest_model_is_fetched_from_a_vehicle(
    follow: Follow, vehicle: EmbeddedStorage
) -> None:
    for iteration, data in enumerate((b"first", b"second")):
        model = follow.until(vehicle.put(data), iteration, vehicle, lambda m: True)
        assert (model.file, model.iteration, model.problem) == (data, iteration, "")


def test_an_encrypted_model_stays_closed(follow: Follow, vehicle: EmbeddedStorage) -> None:
    file = FileKey(bytes(32)).encrypt(b"a model's bytes")
    model = follow.until(vehicle.put(file), 1, vehicle, lambda m: True)
    assert model.file is None
    assert "encrypted" in model.problem


def test_a_model_that_nobody_has_is_asked_for_again(
    follow: Follow, vehicle: EmbeddedStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(global_model, "_RETRY_SECONDS", 0.0)
    with EmbeddedStorage(tmp_path / "elsewhere") as elsewhere:
        cid = elsewhere.put(b"a model")
    missing = follow.until(cid, 2, vehicle, lambda m: bool(m.problem))
    assert missing.file is None
    assert "can't be fetched" in missing.problem
    vehicle.put(b"a model")
    assert follow.until(cid, 2, vehicle, lambda m: m.file is not None).file == b"a model"
