"""One fault, as a kind draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Strike:
    """Something goes wrong, and is right again later."""

    text: str
    """What a person is told."""
    lasts_ms: int
    begin: Callable[[], None]
    end: Callable[[], None]
    overlaps: bool = False
    """Whether another of its kind may begin before this one ends."""
