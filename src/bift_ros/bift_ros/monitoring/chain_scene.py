"""The chain as a row of blocks, newest on the right, with forks in rows beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bift_ros.monitoring.chain_window import ChainWindow, Place
from bift_ros.monitoring.colours import (
    FORKED_BLOCK,
    GREY,
    MODEL_BLOCK,
    PLAIN_BLOCK,
    WHITE,
    Colour,
)
from bift_ros.monitoring.layout import Layout, Point
from bift_ros.monitoring.scene import Key, Shape
from bift_ros.monitoring.sightings import BlockSeen
from bift_ros.monitoring.view import FleetView

COLUMN, ROW = 6.0, 7.0
"""Metres from block to block."""
_RIGHT = 20.0
"""The head stands so many metres to the right of the layout's middle."""
_SIDE, _LETTER_HEIGHT, _LINK_WIDTH = 2.5, 0.9, 0.15
_CUBE = Point(_SIDE, _SIDE, _SIDE)
_LETTER = Point(0.0, 0.0, _LETTER_HEIGHT)
_LANES = 1 << 24
"""A block's number is its height and its lane: heights below this have numbers of their own."""


def chain_shapes(view: FleetView, window: ChainWindow, layout: Layout) -> Iterator[Shape]:
    """A cube and a label of each block in the window, and lines to their parents."""
    stands = Counter(vehicle.tip_hash for vehicle in view.vehicles.values())
    links: list[Point] = []
    for name, place in window.places.items():
        block, spot = window.block(name), _spot(place, window, layout)
        number = place.height % _LANES + place.lane * _LANES
        yield Shape(
            Key("blocks", number),
            "cube",
            _colour(block, place),
            _CUBE,
            spot,
        )
        yield Shape(
            Key("rules", number),
            "text",
            WHITE,
            _LETTER,
            spot._replace(z=_SIDE + 2 * _LETTER_HEIGHT),
            text=_label(block, stands[name]),
        )
        parent = window.places.get(block.previous_hash)
        if parent is not None:
            links += (_spot(parent, window, layout), spot)
    if links:
        width = Point(_LINK_WIDTH, 0.0)
        yield Shape(Key("links", 0), "lines", GREY, width, points=tuple(links))
    if window.hidden:
        yield Shape(
            Key("hidden", 0),
            "text",
            FORKED_BLOCK,
            _LETTER,
            _spot(Place(window.highest + 2, 2), window, layout),
            text=f"and {window.hidden} more\nforked blocks",
        )


def _spot(place: Place, window: ChainWindow, layout: Layout) -> Point:
    return Point(
        layout.chain.x + _RIGHT + (place.height - window.highest) * COLUMN,
        layout.chain.y - place.lane * ROW,
        _SIDE / 2,
    )


def _colour(block: BlockSeen, place: Place) -> Colour:
    if place.lane:
        return FORKED_BLOCK
    return MODEL_BLOCK if block.model is not None else PLAIN_BLOCK


def _label(block: BlockSeen, standing: int) -> str:
    """Height, the rule or else what the block carries, and how many vehicles stand on it."""
    if block.model is not None:
        content = f"{block.model.rule}\n{block.model.accuracy:.0%}"
    else:
        content = _content(block)
    return f"{block.height}\n{content}" + (f"\n{standing} here" if standing else "")


def _content(block: BlockSeen) -> str:
    if not block.transactions:
        return "empty"
    kind, count = max(block.transactions.items(), key=lambda item: (item[1], item[0]))
    name = kind.removeprefix("model_").replace("_", " ")
    return f"{count} {name}{'s' if count > 1 else ''}"
