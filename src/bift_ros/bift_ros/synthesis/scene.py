"""Make one street scene: a windscreen camera's frame with one to three labelled lights.

Everything is drawn from one seeded NumPy generator, so that a seed gives the same pixels again.
The difficulty is meant: a far light's arrow is a few pixels, fog and glare take its colour, and
branches hide part of it. No classifier gets all of them right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from bift_ros.perception.classes import CLASSES, Label
from bift_ros.perception.images import Image
from bift_ros.synthesis import weather
from bift_ros.synthesis.signals import BORDER, PITCH, RGB, Head, paste_head
from bift_ros.synthesis.street import paint_street

WIDTH, HEIGHT = 640, 480
NEAREST, FARTHEST = 12.0, 40.0  # metres
RIM = 2 * BORDER / PITCH  # of a housing, in lamps
FOCAL_METRES = 780.0  # a head's height in pixels at one metre: 0.98 m tall, f = 800 pixels


@dataclass(frozen=True)
class Frame:
    """One picture, RGB uint8 [480, 640, 3], and the lights in it."""

    image: Image
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Conditions:
    """Light and weather of one scene; all strengths lie in [0, 1]."""

    night: float
    weather: str  # clear, rain, fog or snow
    strength: float
    low_sun: float  # how much dark lamps seem lit
    haze_rgb: RGB

    def haze(self, distance: float) -> float:
        """How far the air hides what stands at a distance in metres (Koschmieder's law)."""
        density = {"clear": 0.0006, "rain": 0.004, "snow": 0.006, "fog": 0.022}[self.weather]
        return float(1 - np.exp(-density * self.strength * distance))


def draw_conditions(rng: np.random.Generator) -> Conditions:
    """Day, dusk or night; clear half of the time."""
    dusk, dark = rng.uniform(0.2, 0.6), rng.uniform(0.7, 1.0)
    night = float(rng.choice([0.0, dusk, dark], p=[0.6, 0.2, 0.2]))
    kind = str(rng.choice(["clear", "rain", "fog", "snow"], p=[0.52, 0.2, 0.16, 0.12]))
    grey = int(rng.uniform(170, 225) * (1 - 0.75 * night))
    low_sun = float(rng.uniform(0.2, 0.6)) if night == 0 and rng.random() < 0.15 else 0.0
    return Conditions(night, kind, float(rng.uniform(0.25, 1.0)), low_sun, (grey, grey, grey + 4))


def make_frame(rng: np.random.Generator, probabilities: Sequence[float] | None = None) -> Frame:
    """One scene with one to three lights.

    `probabilities` weighs CLASSES (None: all alike).
    """
    conditions = draw_conditions(rng)
    count = int(rng.choice([1, 2, 3], p=[0.3, 0.4, 0.3]))
    classes = [CLASSES[int(k)] for k in rng.choice(len(CLASSES), count, p=probabilities)]
    image = paint_street(rng, WIDTH, HEIGHT, conditions.night)
    air = conditions.haze(60.0)
    if air > 0.05:
        image = weather.fog(image, air, conditions.haze_rgb, HEIGHT * 0.5)

    labels = []
    for slot, signal_class in enumerate(classes):
        labels.append(_place_light(rng, image, conditions, signal_class, slot, count))
    image = _through_the_windscreen(rng, image, conditions, labels)
    return Frame(image, tuple(labels))


def _place_light(
    rng: np.random.Generator,
    image: Image,
    conditions: Conditions,
    signal_class: str,
    slot: int,
    count: int,
) -> Label:
    """Mount one light in its share of the frame's width, so that no two overlap."""
    # Even in image size rather than in distance: near and far lights come about as often.
    share = rng.random()
    distance = NEAREST * (FARTHEST / NEAREST) ** share
    head = _draw_head_parameters(rng, conditions, signal_class)
    length = FOCAL_METRES / distance  # of three lamps, in pixels
    cell = length / (3 + RIM)
    tall = length if head.lamps == 3 and not head.horizontal else cell * (1 + RIM)
    broad = length if head.lamps == 3 and head.horizontal else cell * (1 + RIM)
    lane = WIDTH / count
    x = rng.uniform(lane * slot + 6, max(lane * slot + 7, lane * (slot + 1) - broad - 6))
    y = rng.uniform(12, HEIGHT * 0.52 - tall)
    _mount(rng, image, conditions, x, y, broad, tall, distance)
    glow = (0.12 + 0.75 * conditions.night) * rng.uniform(0.5, 1.3)
    haze = conditions.haze(distance)
    label = paste_head(image, head, x, y, tall, haze, conditions.haze_rgb, glow)
    if rng.random() < 0.09:
        _occlude(rng, image, conditions, label)
    return label


def _draw_head_parameters(
    rng: np.random.Generator, conditions: Conditions, signal_class: str
) -> Head:
    day = 1 - conditions.night
    colours = (
        (int(rng.integers(225, 256)), int(rng.integers(22, 100)), int(rng.integers(15, 70))),
        (255, int(rng.integers(135, 205)), int(rng.integers(10, 80))),
        (int(rng.integers(10, 120)), int(rng.integers(205, 256)), int(rng.integers(95, 205))),
    )
    housings: tuple[RGB, ...] = ((26, 28, 27), (48, 52, 46), (38, 60, 44), (172, 132, 36))
    housing = housings[int(rng.choice(4, p=[0.55, 0.2, 0.15, 0.1]))]
    backplate: RGB | None = None
    if rng.random() < 0.35:
        backplate = (12, 12, 12) if rng.random() < 0.5 else (215, 212, 200)
    return Head(
        signal_class,
        colours,
        lamps=1 if rng.random() < 0.12 else 3,
        horizontal=bool(rng.random() < 0.08),
        housing=housing,
        backplate=backplate,
        roll=float(rng.normal(0, 2.5)),
        brightness=float(rng.uniform(0.62, 1.1)),
        ambient=0.12 + 0.88 * day * float(rng.uniform(0.6, 1.1)),
        phantom=conditions.low_sun * float(rng.uniform(0.3, 1.0)),
        core=float(rng.uniform(0.0, 0.5)) + 0.4 * conditions.night,
    )


def _mount(
    rng: np.random.Generator,
    image: Image,
    conditions: Conditions,
    x: float,
    y: float,
    broad: float,
    tall: float,
    distance: float,
) -> None:
    """The pole below the head, the gantry's arm behind it, or a wire it hangs from."""
    thick = max(1, int(130 / distance))
    level = int(110 - 85 * conditions.night)
    haze = conditions.haze(distance)
    grey = int(level * (1 - haze) + conditions.haze_rgb[0] * haze)
    colour = (grey, grey, grey)
    middle, ground = int(x + broad / 2), int(HEIGHT * 0.5 + 1500 / distance)
    kind = rng.random()
    if kind < 0.5:
        cv2.line(image, (middle, int(y + tall * 0.8)), (middle, ground), colour, thick)
    elif kind < 0.85:
        foot = 0 if rng.random() < 0.5 else WIDTH - 1
        arm = int(y + tall * 0.3)
        foot = int(np.clip(middle + np.sign(foot - middle) * 3000 / distance, 0, WIDTH - 1))
        cv2.line(image, (middle, arm), (foot, arm - thick), colour, thick)
        cv2.line(image, (foot, arm - thick), (foot, ground), colour, thick + 1)
    else:
        sag = int(y)
        cv2.line(image, (0, max(0, sag - 14)), (middle, sag), colour, 1, cv2.LINE_AA)
        cv2.line(image, (middle, sag), (WIDTH, max(0, sag - 10)), colour, 1, cv2.LINE_AA)


def _occlude(rng: np.random.Generator, image: Image, conditions: Conditions, label: Label) -> None:
    """A branch, a pole or a lorry's edge over part of the head."""
    light = 1 - 0.8 * conditions.night
    kind = rng.random()
    if kind < 0.45:
        leaf = np.array((58, 82, 46)) * light
        spot = max(1, int(label.height * 0.13))
        corner = rng.uniform((0, 0), (1, 1))
        for _ in range(int(rng.integers(4, 14))):
            px, py = np.clip(corner + rng.normal(0, 0.28, 2), -0.2, 1.2)
            at = (int(label.x + px * label.width), int(label.y + py * label.height))
            shade = tuple(int(v) for v in leaf * rng.uniform(0.6, 1.3))
            cv2.circle(image, at, spot, shade, -1)
    elif kind < 0.75:
        column = int(label.x + rng.uniform(0, 1) * label.width)
        foot = (column + int(rng.integers(-6, 7)), HEIGHT)
        thick = max(1, int(label.width * rng.uniform(0.15, 0.5)))
        cv2.line(image, (column, 0), foot, (int(90 * light),) * 3, thick)
    else:
        top = label.y + label.height * rng.uniform(0.35, 0.9)
        body = tuple(int(v * light) for v in rng.integers(60, 220, 3))
        x0 = int(label.x - rng.uniform(0, 3) * label.width)
        x1 = int(label.x + label.width + rng.uniform(0, 3) * label.width)
        cv2.rectangle(image, (x0, int(top)), (x1, HEIGHT), body, -1)


def _through_the_windscreen(
    rng: np.random.Generator, image: Image, conditions: Conditions, labels: Sequence[Label]
) -> Image:
    """Rain, snow, glare, blur and noise, in the order in which light meets them."""
    if conditions.weather == "rain":
        image = weather.rain(rng, image, conditions.strength)
    elif conditions.weather == "snow":
        image = weather.snow(rng, image, conditions.strength, 1 - 0.6 * conditions.night)
    if rng.random() < 0.12:
        # Half of the glare comes from right behind a light: the low sun over the junction.
        near = labels[int(rng.integers(len(labels)))]
        if rng.random() < 0.5:
            x, y = near.x + rng.normal(0, 25), near.y + rng.normal(0, 25)
        else:
            x, y = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT * 0.6)
        weather.glare(image, x, y, rng.uniform(60, 260), rng.uniform(0.3, 0.9))
    if rng.random() < 0.25:
        length = int(rng.integers(2, 4 + int(2 * conditions.night)))
        image = weather.motion_blur(image, length, float(rng.normal(0, 35)))
    gain = float(rng.uniform(0.78, 1.18))
    exposed = cv2.convertScaleAbs(image, alpha=gain, beta=float(rng.uniform(-8, 10)))
    level = int(rng.integers(0, 3)) + int(conditions.night > 0.5)
    return weather.sensor_noise(rng, np.asarray(exposed, np.uint8), level)


def encode_jpeg(image: Image, quality: int = 78) -> bytes:
    """JPEG bytes of an RGB uint8 image, as a camera driver publishes them."""
    ok, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"cannot encode an image of shape {image.shape} as JPEG")
    return data.tobytes()
