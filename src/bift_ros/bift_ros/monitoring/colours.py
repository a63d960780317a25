"""The colours of every display, in one place.

They are Okabe and Ito's (Color Universal Design, 2008), which people with any common kind of colour
blindness tell apart; and no display says a thing by its colour alone.
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
