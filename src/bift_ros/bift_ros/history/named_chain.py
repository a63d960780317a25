"""A chain with the names of those who speak in it, for people to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property

from bift_ros.consensus.blocks import Block
from bift_ros.history.blocks import summary_of
from bift_ros.history.iterations import Task, tasks_of


@dataclass(frozen=True)
class NamedChain:
    """Blocks, and what people call those who speak in them."""

    title: str
    """The genesis' name, or whose chain it is."""
    genesis: bytes
    """Its hash."""
    blocks: Sequence[Block]
    """From the lowest block that is kept to the tip."""
    names: dict[str, str]
    """Address → name, of everybody who is, was or is proposed as a member."""
    side: Sequence[Block] = ()
    """Blocks of other branches, lowest first; only a data folder tells of them."""
    is_cancelled: bool = False
    """Whether votes have ended the last task."""

    @property
    def height(self) -> int:
        """The tip's."""
        return self.blocks[-1].header.height if self.blocks else 0

    def name(self, address: str) -> str:
        """What people call the owner of an address."""
        return self.names.get(address, address)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """All that were proposed, in order."""
        return tuple(tasks_of(map(summary_of, self.blocks), self.is_cancelled))

    @cached_property
    def contributions(self) -> dict[int, dict[str, list[str]]]:
        """Height of a model block → names: who contributed, and who did not and why."""
        return {
            iteration.block.height: {
                "contributors": [self.name(a) for a in iteration.model.contributors],
                "left_out": [self.name(a) for a in iteration.left_out],
                "not_revealed": [self.name(a) for a in iteration.not_revealed],
            }
            for task in self.tasks
            for iteration in task.iterations
        }


def utc(milliseconds: int) -> str:
    """A time of the chain as ISO 8601."""
    moment = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return moment.isoformat(timespec="milliseconds")
