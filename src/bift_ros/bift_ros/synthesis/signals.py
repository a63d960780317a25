"""Draw one traffic light head as a camera sees it: housing, lamps, arrows, glow.

A head is drawn once at a fixed large size and then reduced to its size in the frame with area
resampling. A far head thereby loses its arrow the way a real sensor loses it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bift_ros.perception.classes import Label
from bift_ros.perception.images import Image

Floats = NDArray[np.float32]
RGB = tuple[int, int, int]

PITCH = 40  # pixels between lamp centres on the large drawing
LAMP_RADIUS = 16
BORDER = 6  # housing beyond the lamps' cells
ROOM = 15  # empty rim around the housing, so that a rolled head is not cut

RED, YELLOW, GREEN = range(3)
_COLOUR = {"red": RED, "yellow": YELLOW, "green": GREEN}


@dataclass(frozen=True)
class Head:
    """What to draw: a signal class and how this head differs from others of its class."""

    signal_class: str
    colours: tuple[RGB, ...]  # RGB of red, yellow and green when lit
    lamps: int = 3  # 3, or 1 for a repeater with one lamp
    horizontal: bool = False
    housing: RGB = (25, 27, 26)
    backplate: RGB | None = None
    roll: float = 0.0  # degrees
    brightness: float = 1.0  # of the lit lamp; over 1 it saturates to white
    ambient: float = 1.0  # daylight on the housing, 0 to 1
    phantom: float = 0.0  # how much the low sun makes dark lamps seem lit, 0 to 1
    core: float = 0.3  # how white the middle of the lit lamp burns out, 0 to 1


def parse_class(signal_class: str) -> tuple[int | None, str]:
    """Colour index (None when off) and shape (circle, left, straight, right) of a class."""
    if signal_class == "off":
        return None, "circle"
    colour, _, shape = signal_class.partition("_")
    return _COLOUR[colour], shape


def _arrow(shape: str, centre: tuple[int, int], radius: float) -> NDArray[np.int32]:
    """Outline of an arrow within a lamp: a shaft and a head, turned to its direction."""
    outline = np.array(
        [(-0.24, 0.9), (-0.24, 0.0), (-0.8, 0.0), (0, -0.95), (0.8, 0.0), (0.24, 0.0), (0.24, 0.9)]
    )
    quarter = {"straight": 0, "right": 1, "left": 3}[shape]
    for _ in range(quarter):
        outline = np.stack([-outline[:, 1], outline[:, 0]], axis=1)
    return np.rint(outline * radius + centre).astype(np.int32)


def draw_head(head: Head) -> tuple[Image, Image, Floats]:
    """Draw a head large.

    Returns the colours uint8 [h, w, 3], the coverage uint8 [h, w] (255 inside) and the lit
    lamp's mask float32 [h, w] in [0, 1] (all zero when off), before roll and reduction.
    """
    length = PITCH * head.lamps + 2 * BORDER
    breadth = PITCH + 2 * BORDER
    width, height = (length, breadth) if head.horizontal else (breadth, length)
    shape = (height + 2 * ROOM, width + 2 * ROOM)
    colour = np.zeros((*shape, 3), np.uint8)
    cover = np.zeros(shape, np.uint8)
    lit = np.zeros(shape, np.uint8)

    box = ((ROOM, ROOM), (ROOM + width - 1, ROOM + height - 1))
    rim = head.backplate if head.backplate is not None else head.housing
    cv2.rectangle(colour, *box, _shade(rim, head.ambient), -1)
    cv2.rectangle(cover, *box, 255, -1)
    inset = BORDER - 1
    cv2.rectangle(
        colour,
        (ROOM + inset, ROOM + inset),
        (ROOM + width - 1 - inset, ROOM + height - 1 - inset),
        _shade(head.housing, head.ambient),
        -1,
    )

    active, symbol = parse_class(head.signal_class)
    for position in range(head.lamps):
        along = ROOM + BORDER + PITCH // 2 + PITCH * position
        across = ROOM + BORDER + PITCH // 2
        centre = (along, across) if head.horizontal else (across, along)
        kind = position if head.lamps == 3 else (active if active is not None else position)
        glass = np.array(head.colours[kind], np.float32)
        # An unlit lens: dark tinted glass, brighter where the sun reflects in it.
        level = 0.16 * head.ambient + 0.75 * head.phantom
        cv2.circle(colour, centre, LAMP_RADIUS, _shade(glass, level), -1, cv2.LINE_AA)
        if kind != active:
            continue
        if symbol == "circle":
            cv2.circle(lit, centre, LAMP_RADIUS, 255, -1, cv2.LINE_AA)
        else:
            cv2.circle(colour, centre, LAMP_RADIUS, _shade(glass, 0.05 + level / 2), -1)
            arrow = _arrow(symbol, centre, LAMP_RADIUS)
            cv2.fillPoly(lit, [arrow], 255, cv2.LINE_AA)
        # The visor's shadow on the upper rim of the lens.
        cv2.ellipse(colour, centre, (LAMP_RADIUS + 2,) * 2, 0, 200, 340, (8, 8, 8), 2)

    mask = np.asarray(lit / 255, np.float32)
    if active is not None:
        hue = np.array(head.colours[active], np.float32) * head.brightness
        white = cv2.blur(mask, (9, 9))[..., None] * mask[..., None] * head.core
        lamp = hue * (1 - white) + 255 * white
        blend = colour * (1 - mask[..., None]) + lamp * mask[..., None]
        colour = np.clip(blend, 0, 255).astype(np.uint8)
    return colour, cover, mask


def _shade(rgb: RGB | Floats, factor: float) -> RGB:
    red, green, blue = (min(255, int(value * factor)) for value in rgb)
    return red, green, blue


_GLOW_SIZE = 129
_axis = np.linspace(-1, 1, _GLOW_SIZE, dtype=np.float32)
_distance = np.sqrt(_axis[:, None] ** 2 + _axis[None, :] ** 2)
# A camera's halo: a narrow peak on a wide faint skirt, zero at the rim of the square.
GLOW: Floats = np.clip(
    0.75 * np.exp(-((_distance / 0.22) ** 2)) + 0.35 * (1 - _distance), 0, None
) * (_distance < 1)


def add_glow(frame: Image, x: float, y: float, radius: float, rgb: RGB, strength: float) -> None:
    """Add a halo of that radius in pixels around (x, y) to an RGB uint8 frame, in place."""
    side = max(3, int(2 * radius) | 1)
    left, top = int(x - side / 2), int(y - side / 2)
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(frame.shape[1], left + side), min(frame.shape[0], top + side)
    if x0 >= x1 or y0 >= y1:
        return
    halo = cv2.resize(GLOW, (side, side), interpolation=cv2.INTER_LINEAR)
    halo = halo[y0 - top : y1 - top, x0 - left : x1 - left]
    light = cv2.merge([cv2.convertScaleAbs(halo, alpha=value * strength) for value in rgb])
    frame[y0:y1, x0:x1] = cv2.add(frame[y0:y1, x0:x1], light)


def paste_head(
    frame: Image,
    head: Head,
    x: float,
    y: float,
    height: float,
    haze: float,
    haze_rgb: RGB,
    glow: float,
) -> Label:
    """Draw a head into an RGB uint8 frame, in place, and return its label.

    (x, y) is the housing's upper left corner and `height` its height, all in pixels and
    fractional; `haze` in [0, 1] is how far fog of colour `haze_rgb` hides it; `glow` scales the
    halo. The box must lie within the frame.
    """
    colour, cover, lit = draw_head(head)
    rows, columns = cover.shape
    scale = height / (rows - 2 * ROOM)
    # Rotate about the centre at full size, then reduce by areas: each pixel integrates its light.
    turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), head.roll, 1.0)
    turned = cv2.warpAffine(colour, turn, (columns, rows), borderMode=cv2.BORDER_REPLICATE)
    cover = np.asarray(cv2.warpAffine(cover, turn, (columns, rows)), np.uint8)
    left, top = x - ROOM * scale, y - ROOM * scale
    x0, y0 = int(np.floor(left)), int(np.floor(top))
    small = (max(3, round(columns * scale)), max(3, round(rows * scale)))
    reduced = cv2.resize(turned, small, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(cover, small, interpolation=cv2.INTER_AREA)
    # Shift by the fraction of a pixel that is left over.
    shift = np.array([[1, 0, left - x0], [0, 1, top - y0]], np.float32)
    size = (small[0] + 1, small[1] + 1)
    shifted = cv2.warpAffine(reduced, shift, size, borderMode=cv2.BORDER_REPLICATE)
    alpha = np.asarray(cv2.warpAffine(inside, shift, size)[..., None] / 255, np.float32)

    seen = shifted * (1 - haze) + np.array(haze_rgb, np.float32) * haze
    fx0, fy0 = max(0, x0), max(0, y0)
    fx1, fy1 = min(frame.shape[1], x0 + size[0]), min(frame.shape[0], y0 + size[1])
    part = (slice(fy0 - y0, fy1 - y0), slice(fx0 - x0, fx1 - x0))
    under = frame[fy0:fy1, fx0:fx1]
    frame[fy0:fy1, fx0:fx1] = (under * (1 - alpha[part]) + seen[part] * alpha[part]).astype(
        np.uint8
    )

    active, _ = parse_class(head.signal_class)
    if active is not None and glow > 0:
        ys, xs = np.nonzero(lit > 0.5)
        area = float(lit.mean())
        gx, gy = left + float(xs.mean()) * scale, top + float(ys.mean()) * scale
        power = glow * (0.5 + 0.5 * min(1.0, area / 0.05)) * (1 - haze)
        add_glow(frame, gx, gy, 3.2 * LAMP_RADIUS * scale * (1 + glow), head.colours[active], power)

    box_width = (columns - 2 * ROOM) * scale
    return Label(head.signal_class, round(x), round(y), max(1, round(box_width)), round(height))
