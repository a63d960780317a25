"""Paint the street behind the lights: sky, buildings, trees, road, cars, lamps and signs.

Everything here is drawn by daylight; `weather` makes night and fog of it. Brake lights, street
lamps, neon and round signs are here on purpose: red, yellow and green that are no signal.
"""

from __future__ import annotations

import cv2
import numpy as np

from bift_ros.perception.images import Image
from bift_ros.synthesis.signals import add_glow

RGB = tuple[int, int, int]

SKIES: tuple[RGB, ...] = (
    (86, 142, 206), (120, 166, 214), (158, 182, 208), (176, 182, 190), (198, 200, 204),
    (104, 116, 134),
)  # fmt: skip
BUILDINGS: tuple[RGB, ...] = (
    (142, 128, 116), (168, 158, 148), (120, 96, 84), (98, 102, 110), (176, 140, 112), (80, 84, 92),
)  # fmt: skip
LEAVES: tuple[RGB, ...] = ((52, 84, 44), (70, 98, 50), (40, 66, 40), (104, 96, 52), (88, 62, 40))
CARS: tuple[RGB, ...] = (
    (30, 32, 36), (200, 202, 206), (120, 24, 28), (30, 54, 110), (90, 94, 98), (228, 228, 226),
)  # fmt: skip
SIGNS: tuple[RGB, ...] = ((196, 30, 34), (24, 78, 168), (20, 120, 74), (236, 196, 40))


def paint_street(rng: np.random.Generator, width: int, height: int, night: float) -> Image:
    """An RGB uint8 frame [height, width, 3]; `night` in [0, 1] dims it and lights its lamps."""
    horizon = int(height * rng.uniform(0.42, 0.58))
    frame = _sky(rng, width, height, horizon)
    _skyline(rng, frame, horizon, night)
    _road(rng, frame, horizon)
    for _ in range(int(rng.integers(1, 6))):
        _tree(rng, frame, horizon)
    _texture(rng, frame)
    if night > 0:
        frame = np.asarray(cv2.convertScaleAbs(frame, alpha=1 - 0.86 * night), np.uint8)
    for _ in range(int(rng.integers(0, 5))):
        _car(rng, frame, horizon, night)
    for _ in range(int(rng.integers(0, 4))):
        _sign(rng, frame, horizon, 1 - 0.7 * night)
    for _ in range(int(rng.integers(0, 5))):
        _street_lamp(rng, frame, horizon, night)
    return frame


def _sky(rng: np.random.Generator, width: int, height: int, horizon: int) -> Image:
    zenith = np.array(SKIES[int(rng.integers(len(SKIES)))]) + rng.normal(0, 12)
    low = np.array((226, 222, 218)) + rng.normal(0, 10) + rng.uniform(-10, 10, 3)
    share = np.clip(np.arange(height) / horizon, 0, 1)[:, None]
    column = np.clip(zenith * (1 - share) + low * share, 0, 255).astype(np.uint8)
    return np.asarray(
        cv2.resize(column[:, None, :], (width, height), interpolation=cv2.INTER_NEAREST), np.uint8
    )


def _jitter(rng: np.random.Generator, colour: RGB, spread: int = 18) -> RGB:
    shift = int(rng.integers(-spread, spread + 1))
    red, green, blue = (min(255, max(0, value + shift)) for value in colour)
    return red, green, blue


def _pick(rng: np.random.Generator, colours: tuple[RGB, ...]) -> RGB:
    return _jitter(rng, colours[int(rng.integers(len(colours)))])


def _skyline(rng: np.random.Generator, frame: Image, horizon: int, night: float) -> None:
    x, width = -int(rng.integers(0, 60)), frame.shape[1]
    while x < width:
        broad = int(rng.integers(40, 170))
        # Streets open in the middle: buildings grow towards the sides.
        side = abs((x + broad / 2) / width - 0.5) * 2
        top = horizon - int(rng.uniform(0.1, 0.35 + 0.75 * side) * horizon)
        wall = _pick(rng, BUILDINGS)
        cv2.rectangle(frame, (x, top), (x + broad, horizon + 8), wall, -1)
        if rng.random() < 0.75:
            _windows(rng, frame, (x, top, broad, horizon - top), wall, night)
        x += broad + (int(rng.integers(0, 90)) if rng.random() < 0.35 else 0)


def _windows(
    rng: np.random.Generator, frame: Image, box: tuple[int, int, int, int], wall: RGB, night: float
) -> None:
    x, top, broad, tall = box
    pitch = int(rng.integers(14, 28))
    dark: RGB = (wall[0] // 2, wall[1] // 2, wall[2] // 2 + 8)
    # Drawn far too bright, since the night is laid over it afterwards.
    bright: RGB = (255, 230, 160)
    rows = range(top + 6, top + tall - pitch, pitch)
    columns = range(x + 5, x + broad - pitch, pitch)
    lit = rng.random((len(rows), len(columns))) < 0.3 * night
    for wy, line in zip(rows, lit.tolist(), strict=True):
        for wx, bulb in zip(columns, line, strict=True):
            colour = bright if bulb else dark
            cv2.rectangle(frame, (wx, wy), (wx + pitch // 2, wy + int(pitch * 0.6)), colour, -1)


def _road(rng: np.random.Generator, frame: Image, horizon: int) -> None:
    height, width = frame.shape[:2]
    pavement = _jitter(rng, (138, 134, 128))
    asphalt = _jitter(rng, (84, 84, 88))
    cv2.rectangle(frame, (0, horizon + 4), (width, height), pavement, -1)
    vanish = int(width * rng.uniform(0.38, 0.62))
    edges = [(vanish - 12, horizon + 4), (vanish + 12, horizon + 4)]
    left, right = int(-width * rng.uniform(0, 0.5)), int(width * rng.uniform(1.0, 1.5))
    cv2.fillPoly(frame, [np.array([*edges, (right, height), (left, height)])], asphalt)
    paint = (214, 214, 206)
    for lane in np.linspace(left, right, int(rng.integers(3, 6)))[1:-1]:
        for near, far in ((1.0, 0.75), (0.6, 0.47), (0.38, 0.3), (0.24, 0.19)):
            points = [
                (int(vanish + (lane - vanish) * s), int(horizon + (height - horizon) * s))
                for s in (near, far)
            ]
            cv2.line(frame, points[0], points[1], paint, max(1, int(5 * near)), cv2.LINE_AA)


def _tree(rng: np.random.Generator, frame: Image, horizon: int) -> None:
    width = frame.shape[1]
    side = rng.uniform(0, 0.32)
    x = int(width * (side if rng.random() < 0.5 else 1 - side))
    size = int(rng.integers(18, 75))
    base = horizon + size // 3
    cv2.line(frame, (x, base), (x, base - size * 2), (58, 46, 38), max(2, size // 9))
    leaf = _pick(rng, LEAVES)
    for _ in range(7):
        dx, dy = rng.integers(-size, size + 1, 2) * 0.7
        radius = int(size * rng.uniform(0.35, 0.6))
        cv2.circle(frame, (int(x + dx), int(base - 2 * size + dy)), radius, _jitter(rng, leaf), -1)


def _texture(rng: np.random.Generator, frame: Image) -> None:
    """Large soft stains of light, so that no surface is one flat colour."""
    coarse = rng.normal(0, 9, (24, 32)).astype(np.float32)
    fine = rng.normal(0, 6, (96, 128)).astype(np.float32)
    fine += cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_LINEAR)
    size = (frame.shape[1], frame.shape[0])
    lighter = cv2.resize(np.clip(fine, 0, 255).astype(np.uint8), size)
    darker = cv2.resize(np.clip(-fine, 0, 255).astype(np.uint8), size)
    cv2.add(frame, cv2.merge([lighter] * 3), frame)
    cv2.subtract(frame, cv2.merge([darker] * 3), frame)


def _car(rng: np.random.Generator, frame: Image, horizon: int, night: float) -> None:
    """A car seen from behind, its brake lights on or off."""
    height, width = frame.shape[:2]
    near = rng.uniform(0.06, 0.6)
    bottom = int(horizon + (height - horizon) * near)
    broad = int(18 + 190 * near * rng.uniform(0.8, 1.2))
    tall = int(broad * rng.uniform(0.62, 1.1))
    belt = bottom - int(tall * 0.6)
    x = int(rng.uniform(-0.1, 1.0) * width)
    body = _pick(rng, CARS)
    body = tuple(int(value * (1 - 0.8 * night)) for value in body)  # type: ignore[assignment]
    cv2.ellipse(frame, (x + broad // 2, bottom), (broad // 2 + 3, broad // 12 + 2), 0, 0, 360,
                (22, 22, 24), -1)  # fmt: skip
    cv2.rectangle(frame, (x, belt), (x + broad, bottom), body, -1)
    roof = [
        (x + broad // 8, belt),
        (x + broad // 5, bottom - tall),
        (x + broad * 4 // 5, bottom - tall),
        (x + broad * 7 // 8, belt),
    ]
    cv2.fillPoly(frame, [np.array(roof)], (34, 40, 46))
    lamp = max(1, broad // 12)
    braking = rng.random() < 0.6
    for lx in (x + lamp, x + broad - lamp):
        ly = bottom - int(tall * 0.42)
        cv2.circle(frame, (lx, ly), lamp, (255, 40, 34) if braking else (96, 18, 20), -1)
        if braking:
            add_glow(frame, lx, ly, lamp * 4, (255, 30, 20), 0.4 + 0.5 * night)


def _sign(rng: np.random.Generator, frame: Image, horizon: int, light: float) -> None:
    x, size = int(rng.uniform(0, 1) * frame.shape[1]), int(rng.integers(5, 22))
    y = horizon - int(rng.uniform(0.1, 0.6) * horizon)
    face = _pick(rng, SIGNS)
    face = tuple(int(value * light) for value in face)  # type: ignore[assignment]
    post = (int(90 * light),) * 3
    cv2.line(frame, (x, y), (x, horizon + 30), post, max(1, size // 7))
    white = (int(230 * light),) * 3
    if rng.random() < 0.6:
        cv2.circle(frame, (x, y), size, face, -1, cv2.LINE_AA)
        cv2.circle(frame, (x, y), int(size * 0.68), white, -1, cv2.LINE_AA)
    else:
        cv2.rectangle(frame, (x - size, y - size // 2), (x + size, y + size // 2), face, -1)
        cv2.line(frame, (x - size // 2, y), (x + size // 2, y), white, max(1, size // 6))


def _street_lamp(rng: np.random.Generator, frame: Image, horizon: int, night: float) -> None:
    x, y = int(rng.uniform(0, 1) * frame.shape[1]), int(horizon * rng.uniform(0.15, 0.8))
    grey = (int(100 - 80 * night),) * 3
    cv2.line(frame, (x, y), (x, horizon + 20), grey, 2)
    cv2.line(frame, (x, y), (x + int(rng.integers(-22, 22)), y), grey, 2)
    if night > 0.4:
        warm = ((255, 190, 90), (255, 236, 210), (120, 255, 190))[int(rng.integers(3))]
        cv2.circle(frame, (x, y + 2), 3, warm, -1)
        add_glow(frame, x, y, rng.uniform(14, 40), warm, 0.8 * night)
