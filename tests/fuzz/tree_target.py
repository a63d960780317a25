"""Files put together from blocks that a liar made: nodes that say anything and link anything.

Blocks that don't match their CIDs never reach `read_file`, so mutating them would test nothing.
An input is a script instead. Each three bytes add a block over earlier ones; the last is the root.
"""

from __future__ import annotations

from random import Random

from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.dagpb import Link, encode_node
from bift_ros.storage.unixfs import MAX_DEPTH, MAX_PARTS, read_file

MAX_SIZE = 4_096
_STEPS = 16


def seeds() -> list[bytes]:
    chunks = bytes((0, 5, 0, 0, 7, 0))
    return [chunks[:3], chunks + bytes((1, 2, 0)), chunks + bytes((1, 0, 0)) * MAX_DEPTH]


def make(rng: Random) -> bytes:
    steps = []
    for _ in range(1 + int(rng.random() * _STEPS)):
        kind = 0 if not steps or rng.random() < 0.3 else 1
        steps.append(bytes((kind, int(rng.random() ** 4 * 256), int(rng.random() ** 6 * 256))))
    return b"".join(steps)


def check(data: bytes) -> None:
    """Build the blocks, read the file, and see that its size was bounded all the way."""
    blocks: dict[Cid, bytes] = {}
    made: list[tuple[Cid, int]] = []
    for at in range(0, min(len(data), 3 * _STEPS) - 2, 3):
        kind, a, lie = data[at : at + 3]
        if kind % 2 == 0 or not made:
            block, size, codec = bytes([a]) * (a * 4 % 300), a * 4 % 300, RAW
        else:  # the newest blocks, each some times over; a lie shifts the last declared size
            children = made[-1 - a % 3 :] * (1 + a // 12)
            links = [Link(cid, size, size) for cid, size in children]
            if lie:
                links[-1] = Link(links[-1].cid, (links[-1].size + lie * lie) % 2**62, lie)
            block, size, codec = encode_node(links), sum(link.size for link in links), DAG_PB
        cid = Cid.of(codec, block)
        blocks[cid] = block
        made.append((cid, size))
    if not made:
        return
    asked = 0

    def get(cid: Cid) -> bytes:
        nonlocal asked
        asked += 1
        assert asked <= MAX_PARTS + 64 * _STEPS, "a tree is walked without end"
        return blocks[cid]

    root = made[-1][0]
    found = read_file(root, get, MAX_SIZE)
    assert len(found) <= MAX_SIZE
    assert root.codec != RAW or found == blocks[root]
