"""The traffic-light classes and what a label is: the vocabulary of the perception room."""

from __future__ import annotations

from typing import NamedTuple

# The order is the class index of every model and dataset: append only, never reorder.
CLASSES: tuple[str, ...] = (
    "red_circle",
    "yellow_circle",
    "green_circle",
    "red_left",
    "red_straight",
    "red_right",
    "green_left",
    "green_straight",
    "green_right",
    "off",
)

CLASS_INDEX: dict[str, int] = {name: index for index, name in enumerate(CLASSES)}

MAX_LABELS = 256  # of one frame; the busiest crossing shows some 30 lights
LONGEST_NAME = 64  # characters of a class; more than any has


class Label(NamedTuple):
    """One traffic light in a frame: its class and its housing's box, in whole pixels."""

    signal_class: str
    x: int  # left edge
    y: int  # upper edge
    width: int
    height: int
