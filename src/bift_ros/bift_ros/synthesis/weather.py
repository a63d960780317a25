"""What stands between the street and the picture: fog, rain, snow, glare, blur, noise.

Each function changes an RGB uint8 frame [h, w, 3] and returns it; strengths lie in [0, 1].
"""

from __future__ import annotations

import cv2
import numpy as np

from bift_ros.perception.images import Image
from bift_ros.synthesis.signals import add_glow

RGB = tuple[int, int, int]

# Sensor noise by strength, drawn once: fresh noise per frame would take most of its time. Frames
# take windows of it at random offsets.
NOISE_SIGMAS: tuple[float, ...] = (1.0, 2.0, 3.5, 6.0)
_NOISE_MARGIN = 128
_noise_tiles: dict[tuple[int, int, int], tuple[Image, Image]] = {}


def fog(frame: Image, strength: float, colour: RGB, horizon: float) -> Image:
    """Hide what is far: most at the horizon (a row in pixels), least at the lower edge."""
    height, width = frame.shape[:2]
    rows = np.arange(height, dtype=np.float32)
    nearness = np.clip((rows - horizon) / (height - horizon), 0, 1)
    haze = (strength * (1 - 0.75 * nearness))[:, None, None]
    keep = np.broadcast_to(255 * (1 - haze), (height, 1, 3)).astype(np.uint8)
    veil = (haze * np.array(colour, np.float32)).astype(np.uint8)
    size = (width, height)
    kept = cv2.resize(keep, size, interpolation=cv2.INTER_NEAREST)
    added = cv2.resize(veil, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.add(cv2.multiply(frame, kept, scale=1 / 255), added), np.uint8)


def rain(rng: np.random.Generator, frame: Image, strength: float) -> Image:
    """Streaks in the air and drops on the windscreen."""
    height, width = frame.shape[:2]
    slant = rng.uniform(-0.4, 0.4)
    streaks = np.zeros((height, width), np.uint8)
    count = int(20 + 160 * strength)
    starts = rng.uniform((0, -20), (width, height), (count, 2))
    lengths = rng.uniform(6, 22, count)
    for (x, y), length in zip(starts, lengths, strict=True):
        end = (int(x + slant * length), int(y + length))
        cv2.line(streaks, (int(x), int(y)), end, 60, 1, cv2.LINE_AA)
    frame = np.asarray(cv2.add(frame, cv2.merge([streaks, streaks, streaks])), np.uint8)
    for _ in range(int(rng.integers(0, int(4 + 14 * strength)))):
        radius = int(rng.integers(4, 16))
        x = int(rng.integers(radius, width - radius))
        y = int(rng.integers(radius, height - radius))
        box = (slice(y - radius, y + radius), slice(x - radius, x + radius))
        # A drop is a small lens: what is behind it shows blurred and upside down.
        blurred = cv2.blur(np.ascontiguousarray(frame[box][::-1]), (5, 5))
        drop = np.zeros((2 * radius, 2 * radius, 1), np.uint8)
        cv2.circle(drop, (radius, radius), radius - 1, 1, -1)
        frame[box] = np.where(drop, blurred, frame[box])
    return frame


def snow(rng: np.random.Generator, frame: Image, strength: float, light: float) -> Image:
    """Flakes, near ones large and soft; `light` is how bright they are."""
    height, width = frame.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    count = int(60 + 320 * strength)
    xs, ys = rng.integers(0, width, count), rng.integers(0, height, count)
    radii = rng.choice([1, 1, 1, 2, 2, 3, 5], count)
    level = int(90 + 110 * light)
    for x, y, radius in zip(xs.tolist(), ys.tolist(), radii.tolist(), strict=True):
        cv2.circle(layer, (x, y), radius, level // (1 + radius // 3), -1)
    soft = cv2.blur(layer, (2, 2))
    return np.asarray(cv2.add(frame, cv2.merge([soft, soft, soft])), np.uint8)


def glare(frame: Image, x: float, y: float, radius: float, strength: float) -> Image:
    """The sun or a headlight at (x, y): light over everything within the radius in pixels."""
    add_glow(frame, x, y, radius, (255, 246, 224), strength)
    return frame


def motion_blur(frame: Image, length: int, angle: float) -> Image:
    """The camera moved by `length` pixels at `angle` degrees during the exposure."""
    if length < 2:
        return frame
    size = length | 1
    kernel = np.zeros((size, size), np.float32)
    middle = size // 2
    dx, dy = np.cos(np.radians(angle)) * middle, np.sin(np.radians(angle)) * middle
    ends = [(round(middle - dx), round(middle - dy)), (round(middle + dx), round(middle + dy))]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1)
    return np.asarray(cv2.filter2D(frame, -1, kernel / kernel.sum()), np.uint8)


def sensor_noise(rng: np.random.Generator, frame: Image, level: int) -> Image:
    """Gaussian noise of standard deviation NOISE_SIGMAS[level] grey levels."""
    height, width = frame.shape[:2]
    key = (height, width, level)
    if key not in _noise_tiles:
        shape = (height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3)
        draw = np.random.default_rng(level).standard_normal(shape, np.float32)
        noise = np.rint(draw * NOISE_SIGMAS[level])
        # Brighter and darker apart: saturating 8-bit sums are many times faster than mixed ones.
        brighter = np.clip(noise, 0, 255).astype(np.uint8)
        darker = np.clip(-noise, 0, 255).astype(np.uint8)
        _noise_tiles[key] = (brighter, darker)
    y, x = rng.integers(0, _NOISE_MARGIN, 2)
    window = (slice(y, y + height), slice(x, x + width))
    brighter, darker = _noise_tiles[key]
    return np.asarray(cv2.subtract(cv2.add(frame, brighter[window]), darker[window]), np.uint8)
