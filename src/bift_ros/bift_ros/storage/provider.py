"""What is known of one provider while a file is fetched from it and others."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from bift_ros.storage.byte_ranges import ByteRanges
from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.errors import StorageError
from bift_ros.storage.gateway_urls import MAX_URL_LENGTH, provider_origin

MAX_PROVIDERS = 32
"""Providers considered for one file; the rest of a longer list is ignored."""
MAX_BATCH = 32
"""Blocks in one request."""
GROW_BELOW, SHRINK_ABOVE = 0.1, 0.4
"""Seconds of a request below which the next batch is larger, and above which it is smaller."""
FIRST_BACKOFF, LONGEST_BACKOFF = 0.05, 1.0
"""Seconds for which a provider that lacked a block is left alone; doubled each time in a row."""


class Piece(NamedTuple):
    """A block that is wanted."""

    cid: Cid
    offset: int | None = None
    """Where it lies in the file, in bytes; None for a node, or for a file of one block."""
    size: int | None = None
    """Bytes, where its parent tells."""


@dataclass(eq=False)
class Provider:
    """Another vehicle's gateway during one fetch."""

    url: str
    served: int = 0
    """Blocks that it gave."""
    fault: str | None = None
    """What was last wrong with it."""
    gone: bool = False
    """Whether it is asked no more."""
    by_range: bool = True
    """Whether it may be asked for a range of the file, several blocks at once."""
    batch: int = 2
    """Blocks to ask of it at once."""
    in_flight: int = 0
    misses: int = 0
    """Blocks in a row that it did not have."""
    ready_at: float = 0.0
    """`time.monotonic()` from which on it is asked again."""
    has: ByteRanges | None = None
    """What it has of the file, where it is fetching that itself."""
    by_cid: bool = True
    """Whether a single chunk is asked for by its CID, not as a range of the file."""
    idle: list[http.client.HTTPConnection] = field(default_factory=list)
    """Open connections to use again."""

    @property
    def host(self) -> str:
        """Its name or address."""
        return urlsplit(self.url).hostname or ""

    def holds(self, piece: Piece) -> bool:
        """Whether it is fetching the file and has said that it has this piece."""
        if self.has is None or piece.offset is None or piece.size is None:
            return False
        return self.has.cover(piece.offset, piece.offset + piece.size)

    def adapt_batch(self, seconds: float) -> None:
        """Ask for more at once of one that answered fast, for less of one that was slow."""
        if seconds < GROW_BELOW:
            self.batch = min(MAX_BATCH, self.batch * 2)
        elif seconds > SHRINK_ABOVE:
            self.batch = max(1, self.batch // 2)

    def back_off(self) -> None:
        """Leave it alone for a while, longer each time in a row."""
        backoff = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**self.misses)
        self.ready_at = time.monotonic() + backoff
        self.misses += 1

    def close(self) -> None:
        """Close what is idle."""
        while self.idle:
            self.idle.pop().close()


def providers_of(urls: Sequence[str]) -> tuple[list[Provider], dict[str, str]]:
    """The providers worth asking, and why the others are not."""
    good: dict[str, Provider] = {}
    refused: dict[str, str] = {}
    for url in urls[:MAX_PROVIDERS]:
        try:
            origin = provider_origin(url)
            good.setdefault(origin, Provider(origin))
        except StorageError as error:
            refused[str(url)[:MAX_URL_LENGTH]] = str(error)
    return list(good.values()), refused
