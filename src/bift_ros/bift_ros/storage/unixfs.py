"""Files as trees of blocks, the way `ipfs add --cid-version=1 --raw-leaves` lays them out.

A file is cut into chunks of one size, each a raw block. One chunk is the file itself; more are
joined 174 at a time under dag-pb nodes, those again, until one root is left (the balanced layout of
boxo/ipld/unixfs/importer/balanced). All chunks thus lie at the same depth, and a tree can be built
and read level by level.

A tree may come from anyone. Blocks are hashed where they come in, from the disk or the network;
what reading bounds, and why: the total size (memory), the depth, and the number of parts, because
a few kilobytes of nodes that link one another many times can unfold into a file of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
MAX_DEPTH = 6
"""Most levels of nodes above the chunks; five already reach 174^5 chunks."""

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


def levels(
    root: Cid, get: Callable[[Cid], bytes], max_size: int = MAX_FILE_SIZE
) -> Iterator[list[Part]]:
    """The levels of a file's tree from the root down to the chunks, each in the file's order.

    `get` is asked for a level's nodes only after that level was yielded, so a caller can fetch
    them in between; it must return the bytes that the CID names. Raises `InvalidFile`, and
    whatever `get` raises.
    """
    level = [Part(root, None)]
    for _ in range(MAX_DEPTH + 1):
        yield level
        if level[0].cid.codec == RAW:
            return
        level = _children(level, get, max_size)
    raise InvalidFile(f"{root}: the tree is deeper than {MAX_DEPTH} levels of nodes")


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


def _children(level: Sequence[Part], get: Callable[[Cid], bytes], max_size: int) -> list[Part]:
    below: list[Part] = []
    nodes: dict[Cid, tuple[Link, ...]] = {}
    for cid, size in level:
        links = nodes.get(cid) or decode_node(get(cid))
        nodes[cid] = links
        total = sum(link.size for link in links)
        if size is None and total > max_size:
            raise InvalidFile(f"{cid} is a file of {total} bytes where {max_size} are allowed")
        if size is not None and total != size:
            raise InvalidFile(f"node {cid} heads {total} bytes where its parent declares {size}")
        # A part without bytes would let a tree grow without its file growing.
        if any(link.size < 1 for link in links):
            raise InvalidFile(f"node {cid} links a part of the file without bytes")
        below.extend(Part(link.cid, link.size) for link in links)
        if len(below) > MAX_PARTS:
            raise InvalidFile(f"the file has over {MAX_PARTS} blocks; use larger chunks")
    if len({part.cid.codec for part in below}) > 1:
        raise InvalidFile("the tree is not balanced: chunks and nodes share a level")
    return below
