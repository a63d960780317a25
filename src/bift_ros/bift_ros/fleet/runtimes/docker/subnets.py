"""Where fleets' networks lie: in what RFC 2544 keeps for tests, so that no route leads there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from ipaddress import IPv4Network

_ALL = tuple(IPv4Network("198.18.0.0/15").subnets(new_prefix=21))
"""Each for more than the 1,000 vehicles that a fleet may have."""


def subnets(fleet: str) -> Iterator[IPv4Network]:
    """All that there are; a fleet of this name begins at the same one on every host."""
    first = int.from_bytes(hashlib.sha256(fleet.encode()).digest()[:4], "big") % len(_ALL)
    yield from _ALL[first:]
    yield from _ALL[:first]
