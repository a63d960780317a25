"""Files as trees of blocks, the way `ipfs add --cid-version=1 --raw-leaves` lays them out.

A file is cut into chunks of one size, each a raw block. One chunk is the file itself; more are
joined 174 at a time under dag-pb nodes, those again, until one root is left (the balanced layout of
boxo/ipld/unixfs/importer/balanced). All chunks thus lie at the same depth, and a tree can be built
and read level by level.

A tree may come from anyone. Blocks are hashed where they come in, from the disk or the network;
what reading bounds, and why: the total size (memory), the depth, and the number of parts, because
a few kilobytes of nodes that link one another many times can unfold into a file of any size. Each
node is judged when it comes, before it is kept and before what it links is asked for: a file that
is refused costs no more than the nodes which were on their way together. A tree in memory takes at
most `BYTES_OF_A_PART` for each of the parts that a file of its size may have (`most_parts`).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from bift_ros.storage.cidv1 import DAG_PB, RAW, Cid
from bift_ros.storage.dagpb import InvalidFile, Link, decode_node, encode_node
from bift_ros.storage.errors import StorageError

CHUNK_SIZE = 262_144
"""Bytes a chunk: what `ipfs add` takes by default."""
MAX_CHUNK_SIZE = 1_048_576
"""Kubo refuses larger chunks."""
MAX_BLOCK_SIZE = 2 * 1024 * 1024
"""Bytes; IPFS nodes exchange no larger blocks."""
MAX_FILE_SIZE = 512 * 1024 * 1024
"""Bytes; far above any model a vehicle trains, well within its memory."""
MAX_PARTS = 262_144
"""Most blocks that one level of a file's tree may have: 64 GiB of the default chunks."""
SPARE_PARTS, SMALL_PART = 32_768, 2_048
"""A small file's most blocks, and the bytes of a larger one for each block beyond: what a chunker
makes of any file has fewer, unless its chunks are hundreds of times smaller than the default.
"""
MAX_DEPTH = 4
"""Most levels of nodes above the chunks: with 174 links a node, as our chunker and Kubo's write,
three hold all of `MAX_PARTS`; one more for others'.
"""
MAX_LINK_BYTES = 64
"""What a node takes for each link at most: 38 bytes of CID, two numbers, the fields around them.
The rest of a node takes less than one link more.
"""
MAX_TREE_BYTES = 160 * MAX_PARTS
"""Of all nodes of one file: nodes with two links each, which have the most, at their longest."""
BYTES_OF_A_PART = 1_024
"""Of memory, at most, for each part of a level while a tree is read."""

_LINKS_PER_NODE = 174


class Part(NamedTuple):
    """A range of a file: the block that holds or heads it, and its length in bytes."""

    cid: Cid
    size: int | None
    """None for a root, whose own block tells."""


class Chunk(NamedTuple):
    """A block of content and where it lies in its file."""

    cid: Cid
    offset: int
    """Bytes from the file's start."""
    size: int
    """Bytes."""


def check_chunk_size(chunk_size: int) -> None:
    """Raise `StorageError` for a chunk size that Kubo would not take."""
    if not 1 <= chunk_size <= MAX_CHUNK_SIZE:
        raise StorageError(
            f"a chunk size of {chunk_size} is not within 1 to {MAX_CHUNK_SIZE} bytes"
        )


def build_tree(
    chunks: Sequence[Cid], size: int, chunk_size: int
) -> tuple[Cid, list[tuple[Cid, bytes]]]:
    """The root of the tree over a file's chunks, and the tree's nodes, children before parents.

    `size` is the file's; every chunk but the last has `chunk_size` bytes. One chunk is its own
    root and has no nodes.
    """
    level = [
        Link(cid, length, length)
        for cid, length in zip(chunks, chunk_lengths(size, chunk_size), strict=True)
    ]
    nodes = []
    while len(level) > 1:
        parents = []
        for start in range(0, len(level), _LINKS_PER_NODE):
            children = level[start : start + _LINKS_PER_NODE]
            node = encode_node(children)
            cid = Cid.of(DAG_PB, node)
            below = sum(child.size for child in children)
            parents.append(Link(cid, below, len(node) + sum(child.tsize for child in children)))
            nodes.append((cid, node))
        level = parents
    return level[0].cid, nodes


def chunk_lengths(size: int, chunk_size: int) -> Iterator[int]:
    """The lengths of a file's chunks; an empty file has one empty chunk."""
    for start in range(0, max(size, 1), chunk_size):
        yield min(chunk_size, size - start)


def blocks_of(data: bytes, chunk_size: int = CHUNK_SIZE) -> Iterator[tuple[Cid, memoryview]]:
    """Every block of a file, children before parents, the root last.

    The views share the file's memory. Raises `StorageError` for a chunk size that Kubo would not
    take.
    """
    check_chunk_size(chunk_size)
    view = memoryview(data)
    chunks = []
    for start in range(0, max(len(view), 1), chunk_size):
        chunk = view[start : start + chunk_size]
        chunks.append(Cid.of(RAW, chunk))
        yield chunks[-1], chunk
    for cid, node in build_tree(chunks, len(view), chunk_size)[1]:
        yield cid, memoryview(node)


def chunks_of(root: Cid, get: Callable[[Cid], bytes], max_size: int) -> list[Chunk]:
    """Where each chunk of a file with inner nodes lies; raises as `levels` does."""
    *_, parts = levels(root, get, max_size)
    return placed(parts)


def placed(parts: Sequence[Part]) -> list[Chunk]:
    """Where each part of a file's last level lies."""
    chunks, offset = [], 0
    for cid, size in parts:
        assert size is not None, "only a root's size is unknown"
        chunks.append(Chunk(cid, offset, size))
        offset += size
    return chunks


def most_parts(size: int) -> int:
    """How many blocks one level of a tree may have that heads a file of so many bytes."""
    return min(MAX_PARTS, SPARE_PARTS + size // SMALL_PART)


class Level(list[Part]):
    """One level of a file's tree, in the file's order.

    Its nodes may be judged before the next level is asked for, in any order and by any thread.
    """

    def __init__(self, parts: Iterable[Part], file_size: int) -> None:
        """`file_size` is in bytes: what all parts add up to, or a root's most."""
        super().__init__(parts)
        self.nodes: Counter[Cid] = Counter()
        """The nodes among the parts, and how often each occurs."""
        self._file_size = file_size
        self._sizes: dict[Cid, int | None] = {}
        self._links: dict[Cid, tuple[Link, ...]] = {}
        self._below = 0
        self._mutex = threading.Lock()
        if self[0].cid.codec != DAG_PB:
            return
        self.nodes.update(part.cid for part in self)
        self._check_count(2 * len(self) - 1)
        for cid, size in self:
            if self._sizes.setdefault(cid, size) != size:
                raise InvalidFile(f"node {cid} heads parts of two sizes")

    def judge(self, cid: Cid, node: bytes | bytearray | memoryview) -> None:
        """Take the bytes of one of the nodes. Raises `InvalidFile`."""
        size = self._sizes[cid]
        most = self._file_size if size is None else size
        if len(node) > MAX_LINK_BYTES * (min(most, most_parts(most)) + 1):
            raise InvalidFile(f"node {cid} has {len(node)} bytes, too many for {most} of a file")
        links = decode_node(bytes(node))
        total = sum(link.size for link in links)
        if size is None and total > self._file_size:
            raise InvalidFile(f"{cid} is a file of {total} bytes where {most} are allowed")
        if size is not None and total != size:
            raise InvalidFile(f"node {cid} heads {total} bytes where its parent declares {size}")
        # A part without bytes would let a tree grow without its file growing, and so would nodes
        # that link nothing but one node: only the last of a level is left with one link.
        if any(link.size < 1 for link in links):
            raise InvalidFile(f"node {cid} links a part of the file without bytes")
        if len(links) == 1 and (self.nodes[cid] > 1 or self[-1].cid != cid):
            raise InvalidFile(f"node {cid} has one link and is not the last of its level")
        with self._mutex:
            if cid not in self._links:
                self._below += self.nodes[cid] * len(links)
                self._check_count(self._below)
                self._links[cid] = links

    def below(self, get: Callable[[Cid], bytes]) -> Level:
        """The next level; `get` is asked for the nodes that were not judged yet."""
        for cid in self.nodes:
            if cid not in self._links:
                self.judge(cid, get(cid))
        parts = {
            cid: [Part(link.cid, link.size) for link in self._links[cid]] for cid in self.nodes
        }
        if len({part.cid.codec for some in parts.values() for part in some}) > 1:
            raise InvalidFile("the tree is not balanced: chunks and nodes share a level")
        below = [part for cid, _ in self for part in parts[cid]]
        return Level(below, sum(part.size or 0 for part in below))

    def _check_count(self, below: int) -> None:
        most = most_parts(self._file_size)
        if below > most:
            raise InvalidFile(f"the file has over {most} blocks; use larger chunks")


def levels(
    root: Cid, get: Callable[[Cid], bytes], max_size: int = MAX_FILE_SIZE
) -> Iterator[Level]:
    """The levels of a file's tree from the root down to the chunks.

    `get` is asked for a level's nodes only after that level was yielded, and only for those that
    the caller has not had judged in between; it must return the bytes that the CID names. Raises
    `InvalidFile`, and whatever `get` raises.
    """
    level = Level([Part(root, None)], max_size)
    for _ in range(MAX_DEPTH):
        yield level
        if not level.nodes:
            return
        level = level.below(get)
    if level.nodes:
        raise InvalidFile(f"{root}: the tree is deeper than {MAX_DEPTH} levels of nodes")
    yield level


def read_file(root: Cid, get: Callable[[Cid], bytes], max_size: int = MAX_FILE_SIZE) -> bytes:
    """Put a file together from its blocks, checking every declared size.

    `get` must return the bytes that the CID names, as `BlockStore.get` does: hashing is most of
    the work of reading, so it is done once. Raises `InvalidFile`, and whatever `get` raises.
    """
    *_, chunks = levels(root, get, max_size)
    contents = []
    for cid, size in chunks:
        block = get(cid)
        if len(block) != size and not (size is None and len(block) <= max_size):
            raise InvalidFile(f"chunk {cid} has {len(block)} bytes where {size or max_size} fit")
        contents.append(block)
    return b"".join(contents)
