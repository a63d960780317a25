"""Where a chain's branches are drawn: the chain on lane 0, each other branch on one beside it."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from bift_ros.history.blocks import BlockSummary


def lanes_of(chain: Iterable[BlockSummary], beside: Iterable[BlockSummary]) -> dict[str, int]:
    """Hash → lane. A branch keeps its lane, and takes the lowest one that is free when it begins.

    `beside` are parents before children. A gap of one block keeps two branches on a lane apart.
    """
    lanes = {block.hash: 0 for block in chain}
    ends: dict[int, int] = {}  # lane → the height of its last block
    used: list[tuple[int, int]] = []  # (height at which it was continued, lane), as a heap
    free: list[int] = []  # as a heap
    for block in beside:
        while used and used[0][0] < block.height - 1:
            height, lane = heappop(used)
            if ends[lane] == height:  # else it went on since
                heappush(free, lane)
        lane = lanes.get(block.previous_hash, 0)
        if not lane or ends[lane] != block.height - 1:
            lane = heappop(free) if free else len(ends) + 1
        lanes[block.hash] = lane
        ends[lane] = block.height
        heappush(used, (block.height, lane))
    return lanes
