"""The colours of every display, in one place: of scenes, of web pages and of plots.

Scenes and plots have Okabe and Ito's (Color Universal Design, 2008), which people with any common
kind of colour blindness tell apart; and no display says a thing by its colour alone.
"""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """Red, green and blue from 0 to 255, and the opacity from 0 to 1."""

    red: int
    green: int
    blue: int
    alpha: float = 1.0

    def faded(self, share: float) -> Colour:
        """The same colour with a share of its opacity."""
        return self._replace(alpha=self.alpha * share)


ORANGE = Colour(230, 159, 0)
SKY_BLUE = Colour(86, 180, 233)
GREEN = Colour(0, 158, 115)
YELLOW = Colour(240, 228, 66)
BLUE = Colour(0, 114, 178)
VERMILION = Colour(213, 94, 0)
PURPLE = Colour(204, 121, 167)
GREY = Colour(100, 100, 100)
WHITE = Colour(255, 255, 255)

RIGHT, WRONG, UNJUDGED = GREEN, VERMILION, YELLOW
"""A prediction that is the label, one that is not, and none."""

VEHICLE_STATES = {
    "idle": GREEN,
    "training": SKY_BLUE,
    "mining": ORANGE,
    "collecting": YELLOW,
    "no data": PURPLE,
    "forked": VERMILION,
    "silent": GREY,
}
"""What a vehicle does or suffers, and how that is shown (`vehicle_scene.state_of`)."""

MODEL_BLOCK, PLAIN_BLOCK, FORKED_BLOCK = GREEN, SKY_BLUE, VERMILION
"""A block that brings a global model, another one, and one beside the chain."""

FLIGHTS = {"block": ORANGE, "model_update": GREEN, "model_commit": SKY_BLUE}
OTHER_FLIGHTS = PURPLE
"""Messages under way, by kind."""

PAGE = {
    "page": ("#f4f5f7", "#0d1116"),
    "panel": ("#ffffff", "#151a21"),
    "raised": ("#f1f3f6", "#1c222b"),
    "line": ("#e2e5ea", "#262d37"),
    "edge": ("#b9c0ca", "#3d4653"),
    "text": ("#1b222c", "#e4e8ee"),
    "muted": ("#5a6472", "#98a3b2"),
    "accent": ("#2457d6", "#7ea6ff"),
    "tint": ("#e6edfd", "#1c2a4a"),
    "second": ("#b4540a", "#f0a35e"),
    "third": ("#0b7a75", "#4fc3b8"),
    "band": ("rgb(36 87 214 / 14%)", "rgb(126 166 255 / 18%)"),
    "good": ("#17723f", "#55c98a"),
    "warn": ("#8a5300", "#e8ae4a"),
    "bad": ("#b3261e", "#ff8a80"),
}
"""Name → colour of a web page in light and in dark, as style sheets write them."""
SERIES = tuple(
    (f"#{light.red:02x}{light.green:02x}{light.blue:02x}", dark)
    for light, dark in (
        (BLUE, "#4fb3ff"),
        (VERMILION, "#ff8c42"),
        (GREEN, "#34d399"),
        (PURPLE, "#e79ccb"),
        (Colour(181, 137, 0), "#e0b93b"),  # a yellow to be seen on white
        (SKY_BLUE, "#8fd3ff"),
        (Colour(106, 61, 154), "#b794f4"),
        (Colour(127, 127, 127), "#a3a3a3"),
    )
)
"""The same of a plot's lines; in a style sheet they are `series-0` and so on."""


def custom_properties() -> dict[str, tuple[str, str]]:
    """The CSS custom properties of a page that has plots, in light and in dark."""
    return PAGE | {f"series-{number}": shades for number, shades in enumerate(SERIES)}
