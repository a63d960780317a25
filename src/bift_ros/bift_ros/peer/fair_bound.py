"""Bounds what is kept of blocks, such that no miner's drive out another's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def drop_of_most(kept: dict[bytes, _T], miner_of: Callable[[_T], str]) -> None:
    """Drop the oldest entry of the miner that has most."""
    count = Counter(map(miner_of, kept.values()))
    most = max(count, key=count.__getitem__)
    del kept[next(name for name, entry in kept.items() if miner_of(entry) == most)]
