"""How well a network classifies a set of crops."""

from __future__ import annotations

import torch
from torch import nn

from bift_ros.learning.data import Crops, as_input
from bift_ros.learning.errors import NoTrainingData
from bift_ros.learning.jobs import EvaluateResult
from bift_ros.perception.classes import CLASSES

# Large enough to keep a core busy, small enough that activations stay in a few megabytes.
BATCH = 100


@torch.no_grad()
def predict(
    model: nn.Module, images: torch.Tensor, device: torch.device
) -> tuple[list[int], list[float]]:
    """Class index and softmax confidence of each crop; `images` is uint8[n, 3, 32, 32], RGB."""
    model.to(device).eval()
    confidences, classes = model(as_input(images.to(device))).softmax(dim=1).max(dim=1)
    return classes.tolist(), confidences.tolist()


@torch.no_grad()
def evaluate(model: nn.Module, crops: Crops, device: torch.device) -> EvaluateResult:
    """Accuracy over all crops and recall per class that occurs.

    Raises NoTrainingData where there is no crop.
    """
    if len(crops) == 0:
        raise NoTrainingData("there is no crop to evaluate on")
    model.to(device).eval()
    crops = crops.to(device)
    predicted = torch.cat(
        [model(as_input(images)).argmax(dim=1) for images in torch.split(crops.images, BATCH)]
    )
    hits = predicted == crops.labels
    count = torch.bincount(crops.labels, minlength=len(CLASSES))
    right = torch.bincount(crops.labels[hits], minlength=len(CLASSES))
    per_class = {
        name: int(r) / int(n) for name, r, n in zip(CLASSES, right, count, strict=True) if n
    }
    return EvaluateResult(float(hits.double().mean()), per_class, len(crops))
