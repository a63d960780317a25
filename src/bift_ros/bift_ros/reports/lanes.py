"""Where a chain's branches are drawn: the chain on lane 0, each other branch on one beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

from bift_ros.reports.run import Block


def lanes_of(blocks: Sequence[Block]) -> Mapping[str, int]:
    """Hash → lane. A branch keeps its lane; a lane is used again once its last branch has ended.

    `blocks` are parents before children, as in `Run.blocks`.
    """
    lanes = {block.hash: 0 for block in blocks if block.on_chain}
    continued: set[str] = set()
    ends: dict[int, int] = {}  # lane → the height of its last block
    for block in blocks:
        if block.on_chain:
            continue
        parent = lanes.get(block.previous_hash, 0)
        if parent and block.previous_hash not in continued:
            lane = parent
            continued.add(block.previous_hash)
        else:
            lane = next(n for n in count(1) if ends.get(n, 0) < block.height)
        lanes[block.hash] = lane
        ends[lane] = block.height
    return lanes
