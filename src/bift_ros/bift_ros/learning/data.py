"""A folder of crops, one subfolder a class, as tensors.

Read with OpenCV: importing torchvision takes 11 s and 160 MB more in every vehicle's worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from bift_ros.learning.errors import NoTrainingData
from bift_ros.perception.classes import CLASS_INDEX

CROP_SIZE = 32  # pixels


@dataclass(frozen=True)
class Crops:
    """A labelled set of crops, in memory as bytes: 3 kB each."""

    images: torch.Tensor  # uint8[n, 3, 32, 32], RGB, channels last in memory
    labels: torch.Tensor  # int64[n], indices into CLASSES
    skipped: int = 0  # entries of the folder that are not crops of a known class

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Crops:
        """The same crops in the device's memory."""
        return Crops(self.images.to(device), self.labels.to(device), self.skipped)


def load_crops(folder: Path) -> Crops:
    """Read every `<class>/*.png` below a folder, sorted by class and name.

    Unreadable images, images of another size and folders of unknown classes are counted as
    skipped. A missing folder gives no crops.
    """
    images: list[np.ndarray] = []
    labels: list[int] = []
    skipped = 0
    for class_folder in sorted(folder.iterdir()) if folder.is_dir() else ():
        files = sorted(class_folder.glob("*.png"))
        index = CLASS_INDEX.get(class_folder.name)
        if index is None:
            skipped += max(1, len(files))
            continue
        for file in files:
            image = _read_crop(file)
            if image is None:
                skipped += 1
            else:
                images.append(image)
                labels.append(index)
    stacked = np.stack(images) if images else np.empty((0, CROP_SIZE, CROP_SIZE, 3), np.uint8)
    return Crops(
        # Height, width, channel is how OpenCV and the fast convolutions both want it in memory.
        torch.from_numpy(stacked).permute(0, 3, 1, 2),
        torch.tensor(labels, dtype=torch.int64),
        skipped,
    )


def load_training_crops(folder: Path) -> Crops:
    """As `load_crops`. Raises NoTrainingData where the folder holds no readable crop."""
    crops = load_crops(folder)
    if len(crops) == 0:
        raise NoTrainingData(
            f"{folder} holds no readable 32×32 PNG crop of a known class "
            f"({crops.skipped} files skipped); check that the camera and label topics arrive"
        )
    return crops


def as_input(images: torch.Tensor) -> torch.Tensor:
    """uint8[n, 3, 32, 32] → float32 in [0, 1], the input of every network here."""
    return images.float().mul_(1.0 / 255.0)


def _read_crop(file: Path) -> np.ndarray | None:
    """RGB uint8[32, 32, 3], or None where the file is no such image."""
    try:
        data = np.fromfile(file, np.uint8)
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        return None
    if bgr is None or bgr.shape != (CROP_SIZE, CROP_SIZE, 3):
        return None
    return np.ascontiguousarray(bgr[:, :, ::-1])
