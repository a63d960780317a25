"""The chain as a row of blocks, newest on the right, with forks in rows beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bift_ros.history.blocks import BlockSummary
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
from bift_ros.monitoring.view import FleetView

LENGTH = 40
"""Blocks of the chain that are shown, the newest."""
MAX_LANES = 5
"""Rows of blocks, the chain's own among them: anybody may publish forks."""
AHEAD = 3
"""Blocks of other branches that are shown above the chain's head."""
COLUMN, ROW = 6.0, 7.0
"""Metres from block to block."""
_RIGHT = 20.0
"""The head stands so many metres to the right of the layout's middle."""
_SIDE, _LETTER_HEIGHT, _LINK_WIDTH = 2.5, 0.9, 0.15
_CUBE = Point(_SIDE, _SIDE, _SIDE)
_LETTER = Point(0.0, 0.0, _LETTER_HEIGHT)
_LANES = 1 << 24
"""A block's number is its height and its lane: heights below this have numbers of their own."""


def chain_shapes(view: FleetView, layout: Layout) -> Iterator[Shape]:
    """A cube and a label of each block in the window, and lines to their parents."""
    chain, lanes = view.history.blocks[-LENGTH:], view.history.lanes
    if not chain:
        return
    head = chain[-1].height
    heights = range(chain[0].height, head + AHEAD + 1)
    blocks = [b for height in heights for b in view.chain.at(height) if b.hash in lanes]
    spots = {
        b.hash: _spot(b.height - head, lanes[b.hash], layout)
        for b in blocks
        if lanes[b.hash] < MAX_LANES
    }
    stands = Counter(vehicle.tip_hash for vehicle in view.vehicles.values())
    links: list[Point] = []
    for block in blocks:
        if block.hash not in spots:
            continue
        lane, spot = lanes[block.hash], spots[block.hash]
        number = block.height % _LANES + lane * _LANES
        yield Shape(Key("blocks", number), "cube", _colour(block, lane), _CUBE, spot)
        yield Shape(
            Key("rules", number),
            "text",
            WHITE,
            _LETTER,
            spot._replace(z=_SIDE + 2 * _LETTER_HEIGHT),
            text=_label(block, stands[block.hash]),
        )
        if block.previous_hash in spots:
            links += (spots[block.previous_hash], spot)
    if links:
        width = Point(_LINK_WIDTH, 0.0)
        yield Shape(Key("links", 0), "lines", GREY, width, points=tuple(links))
    if len(spots) < len(blocks):
        yield Shape(
            Key("hidden", 0),
            "text",
            FORKED_BLOCK,
            _LETTER,
            _spot(2, 2, layout),
            text=f"and {len(blocks) - len(spots)} more\nforked blocks",
        )


def _spot(column: int, lane: int, layout: Layout) -> Point:
    """Of a lane, so many columns to the right of the head."""
    return Point(layout.chain.x + _RIGHT + column * COLUMN, layout.chain.y - lane * ROW, _SIDE / 2)


def _colour(block: BlockSummary, lane: int) -> Colour:
    if lane:
        return FORKED_BLOCK
    return MODEL_BLOCK if block.model is not None else PLAIN_BLOCK


def _label(block: BlockSummary, standing: int) -> str:
    """Height, the rule or else what the block carries, and how many vehicles stand on it."""
    if block.model is not None:
        content = f"{block.model.rule}\n{block.model.accuracy:.0%}"
    else:
        content = _content(block)
    return f"{block.height}\n{content}" + (f"\n{standing} here" if standing else "")


def _content(block: BlockSummary) -> str:
    if not block.transactions:
        return "empty"
    kind, count = max(block.transactions.items(), key=lambda item: (item[1], item[0]))
    name = kind.removeprefix("model_").replace("_", " ")
    return f"{count} {name}{'s' if count > 1 else ''}"
