"""A camera's frame with what the lights are, and what the fleet's global model takes them for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeout

import numpy as np
from numpy.typing import NDArray

from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import LearningError
from bift_ros.learning.jobs import PredictJob
from bift_ros.monitoring.colours import RIGHT, UNJUDGED, WRONG
from bift_ros.monitoring.global_model import GlobalModel
from bift_ros.perception.annotation import Box, annotate
from bift_ros.perception.classes import Label
from bift_ros.perception.crops import RegionError, crop_region

Image = NDArray[np.uint8]
Prediction = tuple[str, float]
"""A class and the model's confidence in it, 0 to 1."""
Predict = Callable[[GlobalModel, Image], Sequence[Prediction]]
"""Names the class of each crop uint8[n, 32, 32, 3]; raises LearningError."""

_SECONDS = 60.0
"""For a prediction: the first one waits for the worker's import of torch."""


class WorkerPredictions:
    """Predictions by a worker process, of one architecture only."""

    def __init__(self, worker: TrainingWorker, architecture: str) -> None:
        self._worker, self._architecture = worker, architecture

    def __call__(self, model: GlobalModel, crops: Image) -> Sequence[Prediction]:
        """Name each crop's class; raises LearningError."""
        assert model.file is not None
        try:
            job = self._worker.submit(PredictJob(model.file, crops, self._architecture))
            result = job.result(_SECONDS)
        except FutureTimeout as error:
            raise LearningError(f"no prediction within {_SECONDS:.0f} s") from error
        except RuntimeError as error:  # the worker was closed
            raise LearningError(str(error)) from error
        return list(zip(result.classes, result.confidences, strict=True))


def camera_view(
    image: Image, labels: Sequence[Label], model: GlobalModel | None, predict: Predict
) -> Image:
    """The frame, RGB uint8 [h, w, 3], annotated and with a strip below that sums it up.

    A box is green where the model is right and red where it is wrong, and yellow where it was not
    asked, since there is no model to ask or the light is too small.
    """
    predictions: dict[int, Prediction] = {}
    problem = _problem(model)
    if model is not None and not problem:
        try:
            predictions = _predictions(image, labels, model, predict)
        except LearningError as error:
            problem = f"global model can't be used: {error}"
    boxes = [_box(label, predictions.get(number)) for number, label in enumerate(labels)]
    if model is None or problem:
        return annotate(image, boxes, _ascii(f"labels only: the {problem}"))
    right = sum(labels[n].signal_class == name for n, (name, _) in predictions.items())
    banner = f"global model of iteration {model.iteration}: {right} of {len(predictions)} right"
    return annotate(image, boxes, banner)


def _problem(model: GlobalModel | None) -> str:
    if model is None:
        return "global model is not here yet"
    return f"global model {model.problem}" if model.problem else ""


def _predictions(
    image: Image, labels: Sequence[Label], model: GlobalModel, predict: Predict
) -> dict[int, Prediction]:
    crops = {}
    for number, label in enumerate(labels):
        try:
            crops[number] = crop_region(image, *label[1:])
        except RegionError:
            continue  # a vehicle does not learn from it either
    if not crops:
        return {}
    return dict(zip(crops, predict(model, np.stack(list(crops.values()))), strict=True))


def _box(label: Label, prediction: Prediction | None) -> Box:
    said = _ascii(f"label {label.signal_class}")
    if prediction is None:
        return Box(label, UNJUDGED[:3], (said,))
    name, confidence = prediction
    is_right = name == label.signal_class
    verdict = "model" if is_right else "WRONG"
    lines = (said, f"{verdict} {name} {confidence:.0%}")
    return Box(label, (RIGHT if is_right else WRONG)[:3], lines)


def _ascii(text: str) -> str:
    """What OpenCV's fonts can draw, and no more than fits."""
    return text.encode("ascii", "replace").decode()[:200]
