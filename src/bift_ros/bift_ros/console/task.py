"""`./bift task list|show`: the chain's learning tasks, and how far each is."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from bift_ros.consensus.blocks import Block, ModelInfo
from bift_ros.consensus.payloads import ModelCommit, ProposeTask
from bift_ros.console.errors import CommandError
from bift_ros.console.read_chain import ReadChain, add_source_arguments, read_chain, utc


@dataclass
class TaskRecord:
    """A task as the chain's blocks tell of it."""

    proposal: ProposeTask
    proposer: str
    """Its address."""
    proposed_at: int
    """The time of the block that brought it, milliseconds since the Unix epoch."""
    iterations: list[tuple[Block, ModelInfo]] = field(default_factory=list)
    """The blocks that ended an iteration, in order."""
    committed: list[str] = field(default_factory=list)
    """Who has committed to an update in the iteration that is going on: addresses."""
    replaced: bool = False
    """Whether another task took its place before it was done."""

    @property
    def state(self) -> str:
        """In a word."""
        if len(self.iterations) == self.proposal.total_iter:
            return "done"
        return "replaced" if self.replaced else "active"

    @property
    def global_cid(self) -> str:
        """The newest global model."""
        return self.iterations[-1][1].global_cid if self.iterations else self.proposal.init_cid


def tasks_of(blocks: Iterable[Block]) -> list[TaskRecord]:
    """Gather the tasks of a chain, from its first block on."""
    tasks: list[TaskRecord] = []
    for block in blocks:
        for tx in block.body.transactions:
            if isinstance(tx.payload, ProposeTask):
                if tasks:
                    tasks[-1].replaced = True
                tasks.append(TaskRecord(tx.payload, tx.sender, block.header.timestamp))
            elif isinstance(tx.payload, ModelCommit) and tasks:
                tasks[-1].committed.append(tx.sender)
        if block.body.model_info is not None and tasks:
            tasks[-1].iterations.append((block, block.body.model_info))
            tasks[-1].committed.clear()
    return tasks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in (
        ("list", "List the tasks that were proposed, and how far each is."),
        ("show", "Print one task: what was proposed, and what each iteration came to."),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        if name == "show":
            action.add_argument(
                "task", nargs="?", metavar="TASK", help="its name (default: the newest)"
            )
        add_source_arguments(action)
        action.add_argument("--json", action="store_true", help="for machines")


def main(arguments: argparse.Namespace) -> int:
    """List or show."""
    chain = read_chain(arguments)
    tasks = tasks_of(chain.blocks)
    if arguments.action == "list":
        return _list(chain, tasks, arguments.json)
    wanted = [t for t in tasks if arguments.task in (None, t.proposal.model_id)]
    if not wanted:
        known = ", ".join(task.proposal.model_id for task in tasks) or "none"
        raise CommandError(
            f"no task {arguments.task or ''}".rstrip() + f" on the chain (there: {known}): "
            "`bift node submit-model` proposes one"
        )
    return _show(chain, wanted[-1], arguments.json)


def _list(chain: ReadChain, tasks: list[TaskRecord], as_json: bool) -> int:
    objects = [_summary(task, chain) for task in tasks]
    if as_json:
        print(json.dumps({"height": len(chain.blocks), "tasks": objects}))
        return 0
    table = Table(title=f"{chain.title}: tasks at block {len(chain.blocks)}", title_justify="left")
    for heading in ("task", "state", "iteration", "accuracy", "rule", "proposer", "since (UTC)"):
        table.add_column(heading, overflow="fold")
    for task in objects:
        table.add_row(
            task["model_id"],
            task["state"],
            f"{task['current_iter']}/{task['total_iter']}",
            "" if task["accuracy"] is None else f"{task['accuracy']:.1%}",
            task["rule"],
            task["proposer"],
            task["proposed_at"][:16].replace("T", " "),
        )
    Console(markup=False).print(table)
    return 0


def _summary(task: TaskRecord, chain: ReadChain) -> dict[str, Any]:
    return {
        "model_id": task.proposal.model_id,
        "state": task.state,
        "current_iter": len(task.iterations),
        "total_iter": task.proposal.total_iter,
        "accuracy": task.iterations[-1][1].accuracy if task.iterations else None,
        "rule": task.proposal.rule,
        "proposer": chain.name(task.proposer),
        "proposed_at": utc(task.proposed_at),
        "global_cid": task.global_cid,
    }


def _show(chain: ReadChain, task: TaskRecord, as_json: bool) -> int:
    summary = _summary(task, chain)
    iterations = _iterations(task, chain)
    committed = [chain.name(address) for address in task.committed]
    shown = {**asdict(task.proposal), **summary, "committed": committed}
    if as_json:
        print(json.dumps({**shown, "iterations": iterations}))
        return 0
    console = Console(markup=False)
    for name, value in shown.items():
        text = ", ".join(value) if isinstance(value, list) else value
        console.print(f"{name.replace('_', ' '):<14} {text}", soft_wrap=True)
    table = Table(title="Iterations", title_justify="left")
    for heading in ("iteration", "block", "miner", "rule", "accuracy", "seconds", "contributors"):
        table.add_column(heading, overflow="fold")
    for row in iterations:
        table.add_row(
            str(row["iteration"]),
            str(row["block"]),
            row["miner"],
            row["rule"],
            f"{row['accuracy']:.1%}",
            f"{row['seconds']:.1f}",
            ", ".join(row["contributors"]),
        )
    console.print(table)
    return 0


def _iterations(task: TaskRecord, chain: ReadChain) -> list[dict[str, Any]]:
    rows, since = [], task.proposed_at
    for block, info in task.iterations:
        rows.append(
            {
                "iteration": info.current_iter,
                "block": block.header.height,
                "miner": chain.name(block.header.miner),
                "rule": info.rule,
                "accuracy": info.accuracy,
                "seconds": (block.header.timestamp - since) / 1000,
                "contributors": [chain.name(address) for address in info.contributors],
                "global_cid": info.global_cid,
            }
        )
        since = block.header.timestamp
    return rows
