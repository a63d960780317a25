"""What a store knows of its files, and where each of their blocks lies on disk; in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import NamedTuple

from bift_ros.storage.byte_ranges import ByteRanges
from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.dagpb import InvalidFile
from bift_ros.storage.node_log import Nodes, stored_chunks
from bift_ros.storage.unixfs import Chunk


class Place(NamedTuple):
    """Where a block lies on disk."""

    root: Cid
    folder: str
    """`files` or `trees`."""
    offset: int
    size: int


@dataclass
class FileState:
    """What the store knows of one file, whole or not."""

    size: int = 0
    """Bytes that count towards the cap."""
    whole: bool = False
    """Whether every block is here, durably."""
    digests: list[bytes] = field(default_factory=list)
    """Of the blocks that are found in this file."""
    changed: int = -1
    """When the whole content was last written: `st_mtime_ns`."""
    completing: threading.Lock = field(default_factory=threading.Lock)
    """Held by the one thread that completes the file."""
    received: ByteRanges | None = None
    """While the file is being completed: which of its bytes are here."""


class Catalog:
    """Files by root, and every place of every block by its SHA-256.

    A file counts once among a block's places, however often it repeats the block. Looking up is
    safe from any thread, changes are to be made by one at a time.
    """

    def __init__(self) -> None:
        self.files: dict[Cid, FileState] = {}
        self._places: dict[bytes, tuple[Place, ...]] = {}
        self._count = 0

    @property
    def entries(self) -> int:
        """Files, and places of blocks."""
        return len(self.files) + self._count

    def __contains__(self, digest: object) -> bool:
        return digest in self._places

    def places(self, digest: bytes) -> tuple[Place, ...]:
        """The places of the block with this SHA-256."""
        return self._places.get(digest, ())

    def file(self, root: Cid) -> FileState:
        """What is known of a file; nothing yet where it is new."""
        return self.files.setdefault(root, FileState())

    def add(self, cid: Cid, place: Place) -> None:
        """Note a place of a block in a known file."""
        places = self.places(cid.digest)
        if all(other.root != place.root for other in places):
            self._places[cid.digest] = (*places, place)
            self._count += 1
            self.files[place.root].digests.append(cid.digest)

    def add_whole(self, root: Cid, nodes: Nodes, length: int) -> list[Chunk]:
        """Note the places of every block of a file of `length` bytes; returns its chunks.

        Raises `StorageError`.
        """
        chunks = stored_chunks(root, nodes, length, length)
        if sum(chunk.size for chunk in chunks) != length:
            raise InvalidFile(f"it has {length} bytes on disk, not what its tree says")
        for cid, (offset, node) in nodes.items():
            self.add(cid, Place(root, "trees", offset, len(node)))
        for chunk in chunks:
            self.add(chunk.cid, Place(root, "files", chunk.offset, chunk.size))
        return chunks

    def forget_block(self, digest: bytes, root: Cid) -> None:
        """Forget the place that a block has in one file."""
        places = self.places(digest)
        others = tuple(place for place in places if place.root != root)
        self._count -= len(places) - len(others)
        if others:
            self._places[digest] = others
        else:
            self._places.pop(digest, None)

    def forget_file(self, root: Cid) -> FileState:
        """Forget a file and all its places; returns what was known of it."""
        state = self.files.pop(root, FileState())
        for digest in state.digests:
            self.forget_block(digest, root)
        return state
