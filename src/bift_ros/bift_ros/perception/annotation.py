"""Draws boxes and words into a camera's frame. What they mean is the caller's to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from bift_ros.perception.classes import Label
from bift_ros.perception.images import Image

RGB = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SCALE, _LETTER, _PADDING = 0.45, 14, 3
"""Size of the font, and a line's height and margin in pixels, in a frame 640 pixels wide."""
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True)
class Box:
    """A rectangle in a frame with lines of text (ASCII) beside it."""

    label: Label
    colour: RGB
    lines: tuple[str, ...]


def annotate(image: Image, boxes: Sequence[Box], banner: str) -> Image:
    """A copy of an RGB image [h, w, 3] with the boxes, and the banner in a strip below it.

    Boxes are drawn as far as they lie in the frame.
    """
    unit = max(1.0, image.shape[1] / 640)
    canvas = image.copy()
    corners = [_corners(box.label, *image.shape[:2]) for box in boxes]
    for box, (left, top, _, bottom) in zip(boxes, corners, strict=True):
        _caption(canvas, box.lines, left, top, bottom, unit)
    # After all captions, so that no box is hidden.
    for box, (left, top, right, bottom) in zip(boxes, corners, strict=True):
        thickness = max(2, round(2 * unit))
        cv2.rectangle(canvas, (left, top), (right, bottom), box.colour, thickness)
    strip = np.zeros((round((_LETTER + 2 * _PADDING) * unit), image.shape[1], 3), np.uint8)
    _write(strip, banner, round(_PADDING * unit), len(strip) - round(2 * _PADDING * unit), unit)
    return np.vstack((canvas, strip))


def _corners(label: Label, rows: int, columns: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom edge within the frame, in pixels."""
    left, top = min(max(label.x, 0), columns - 1), min(max(label.y, 0), rows - 1)
    right = min(max(label.x + label.width, left), columns - 1)
    bottom = min(max(label.y + label.height, top), rows - 1)
    return left, top, right, bottom


def _caption(
    canvas: Image, lines: Sequence[str], left: int, top: int, bottom: int, unit: float
) -> None:
    """White on black, below the box or, where the frame ends, above it."""
    rows, columns = canvas.shape[:2]
    height, padding = round(_LETTER * unit), round(_PADDING * unit)
    width = max((_width(line, unit) for line in lines), default=0) + 2 * padding
    tall = height * len(lines) + 2 * padding
    y = bottom + 1 if bottom + tall < rows else max(0, top - tall)
    x = max(0, min(left, columns - width))
    cv2.rectangle(canvas, (x, y), (x + width, y + tall), _BLACK, -1)
    for number, line in enumerate(lines, 1):
        _write(canvas, line, x + padding, y + number * height, unit)


def _write(canvas: Image, text: str, x: int, y: int, unit: float) -> None:
    cv2.putText(canvas, text, (x, y), _FONT, _SCALE * unit, _WHITE, round(unit), cv2.LINE_AA)


def _width(text: str, unit: float) -> int:
    return int(cv2.getTextSize(text, _FONT, _SCALE * unit, round(unit))[0][0])
