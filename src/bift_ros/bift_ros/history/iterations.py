"""What the iterations of a chain's tasks came to: who contributed, and why the others did not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from bift_ros.history.blocks import BlockSummary, ModelSummary, Proposal


class Outcome(Enum):
    """What became of a member in an iteration, as far as a chain tells."""

    CONTRIBUTED = "contributed"
    """Its update was selected, and paid for."""
    LEFT_OUT = "left out"
    """The block carries its update, and the rule did not select it."""
    NOT_REVEALED = "not revealed"
    """It committed to an update, and the block has none of it."""
    NOT_COMMITTED = "not committed"
    """Others committed to updates, it did not."""
    ABSENT = "absent"
    """The block has no update of it. There were no commitments, or not all of them are known."""


@dataclass(frozen=True)
class Iteration:
    """One finished iteration."""

    block: BlockSummary
    """The block that ended it."""
    model: ModelSummary
    """What the block brought."""
    seconds: float | None
    """Since the task's last iteration or its proposal, by the miners' clocks; None: not known."""
    committed: frozenset[str] = frozenset()
    """Addresses; empty where the chain has no commitments, or where not all blocks are known."""

    @property
    def senders(self) -> frozenset[str]:
        """Addresses of those whose updates the block carries."""
        return frozenset(update.sender for update in self.block.updates)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Addresses of those whose updates the rule did not select, in the block's order."""
        paid = self.model.contributors
        return tuple(u.sender for u in self.block.updates if u.sender not in paid)

    @property
    def not_revealed(self) -> tuple[str, ...]:
        """Addresses of those who committed to an update that the block does not have."""
        return tuple(sorted(self.committed - self.senders))

    @property
    def others(self) -> Outcome:
        """What became of all who neither have an update in the block nor committed to one."""
        return Outcome.NOT_COMMITTED if self.committed else Outcome.ABSENT

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Address → outcome, of all but the `others`."""
        return {
            **dict.fromkeys(self.not_revealed, Outcome.NOT_REVEALED),
            **dict.fromkeys(self.left_out, Outcome.LEFT_OUT),
            **dict.fromkeys(self.model.contributors, Outcome.CONTRIBUTED),
        }


@dataclass
class Task:
    """A learning task as a chain's blocks tell of it."""

    model_id: str
    proposal: Proposal | None = None
    """None where the block that brought it is not known."""
    iterations: list[Iteration] = field(default_factory=list)
    """The finished ones, in order."""
    committed: list[str] = field(default_factory=list)
    """Who has committed to an update in the iteration that is going on: addresses, in order."""
    opponents: list[str] = field(default_factory=list)
    """Who has voted for it to end: addresses, in order."""
    is_over: bool = False
    """Whether it ended before it was done."""

    @property
    def state(self) -> str:
        """In a word."""
        if self.iterations and len(self.iterations) == self.iterations[-1].model.total_iter:
            return "done"
        if self.is_over:
            return "cancelled" if self.opponents else "replaced"
        return "active"

    @property
    def global_cid(self) -> str:
        """The newest global model; empty where that is the initial one and not known."""
        if self.iterations:
            return self.iterations[-1].model.global_cid
        return self.proposal.task.init_cid if self.proposal is not None else ""


def tasks_of(blocks: Iterable[BlockSummary], is_cancelled: bool = False) -> list[Task]:
    """Gather the tasks of a chain's consecutive blocks, from whichever height on.

    `is_cancelled` says that votes have ended the last one: how many that takes, blocks do not tell.
    """
    tasks: list[Task] = []
    since: int | None = None  # when the iteration that is going on began; None: not known
    for block in blocks:
        if tasks:
            tasks[-1].committed.extend(block.commits)
            tasks[-1].opponents.extend(block.opponents)
        if block.model is not None:
            if not tasks or tasks[-1].model_id != block.model.model_id:
                tasks.append(Task(block.model.model_id))
            tasks[-1].iterations.append(_iteration(block, block.model, tasks[-1], since))
            tasks[-1].committed.clear()
            since = block.timestamp
        for proposal in block.proposals:
            if tasks:
                tasks[-1].is_over = True
            tasks.append(Task(proposal.task.model_id, proposal))
            since = block.timestamp
    if tasks and is_cancelled:
        tasks[-1].is_over = True
    return tasks


def _iteration(
    block: BlockSummary, model: ModelSummary, task: Task, since: int | None
) -> Iteration:
    if since is None:
        return Iteration(block, model, None)
    return Iteration(block, model, (block.timestamp - since) / 1000, frozenset(task.committed))
