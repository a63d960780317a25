"""Cut a labelled light out of its frame: a square around the box, 32×32 RGB."""

from __future__ import annotations

import cv2
import numpy as np

from bift_ros.perception.images import Image

CROP_SIZE = 32
MARGIN = 0.08  # of the box's longer side, on each side: a little of what stands around it
MIN_SIDE = 4  # pixels of the box's longer side; below, a crop is nothing but interpolation


class RegionError(ValueError):
    """A region that cannot be cropped, with the reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason  # region_outside_frame or region_too_small


def crop_region(image: Image, x: int, y: int, width: int, height: int) -> Image:
    """The square around a box as RGB uint8 [32, 32, 3].

    The square keeps the light's proportions: an arrow must not be stretched. Where margin or
    square reach beyond the frame, its edge pixels are repeated. Shrinking averages areas,
    growing is bilinear. Raises RegionError where the box is empty, tiny or not wholly inside.
    """
    rows, columns = image.shape[:2]
    if x < 0 or y < 0 or x + width > columns or y + height > rows:
        raise RegionError(
            "region_outside_frame",
            f"region {width}×{height} at ({x}, {y}) is not inside its {columns}×{rows} frame",
        )
    if min(width, height) < 1 or max(width, height) < MIN_SIDE:
        raise RegionError(
            "region_too_small",
            f"region {width}×{height} at ({x}, {y}) is smaller than {MIN_SIDE} pixels",
        )
    side = round(max(width, height) * (1 + 2 * MARGIN))
    left, top = x + (width - side) // 2, y + (height - side) // 2
    right, bottom = left + side, top + side
    part = image[max(0, top) : min(rows, bottom), max(0, left) : min(columns, right)]
    beyond = (max(0, -top), max(0, bottom - rows), max(0, -left), max(0, right - columns))
    if any(beyond):
        part = np.asarray(cv2.copyMakeBorder(part, *beyond, cv2.BORDER_REPLICATE), np.uint8)
    how = cv2.INTER_AREA if side >= CROP_SIZE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (CROP_SIZE, CROP_SIZE), interpolation=how), np.uint8)
