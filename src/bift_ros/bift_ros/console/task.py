"""`./bift task list|show`: the chain's learning tasks, and how far each is."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from bift_ros.console.errors import CommandError
from bift_ros.console.read_chain import LoadedChain, add_source_arguments, read_chain, utc
from bift_ros.history.blocks import Proposal
from bift_ros.history.iterations import Iteration, Task


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
    if arguments.action == "list":
        return _list(chain, arguments.json)
    wanted = [t for t in chain.tasks if arguments.task in (None, t.model_id)]
    if not wanted:
        known = ", ".join(task.model_id for task in chain.tasks) or "none"
        raise CommandError(
            f"no task {arguments.task or ''}".rstrip() + f" on the chain (there: {known}): "
            "`bift node submit-model` proposes one"
        )
    return _show(chain, wanted[-1], arguments.json)


def _list(chain: LoadedChain, as_json: bool) -> int:
    objects = [_summary(task, chain) for task in chain.tasks]
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


def _proposal(task: Task) -> Proposal:
    assert task.proposal is not None, "the chain is read from block 1 on"
    return task.proposal


def _summary(task: Task, chain: LoadedChain) -> dict[str, Any]:
    proposal = _proposal(task)
    return {
        "model_id": task.model_id,
        "state": task.state,
        "current_iter": len(task.iterations),
        "total_iter": proposal.task.total_iter,
        "accuracy": task.iterations[-1].model.accuracy if task.iterations else None,
        "rule": proposal.task.rule,
        "proposer": chain.name(proposal.proposer),
        "proposed_at": utc(proposal.time),
        "global_cid": task.global_cid,
    }


def _show(chain: LoadedChain, task: Task, as_json: bool) -> int:
    summary = _summary(task, chain)
    iterations = [_iteration(iteration, chain) for iteration in task.iterations]
    committed = [chain.name(address) for address in task.committed]
    shown = {**asdict(_proposal(task).task), **summary, "committed": committed}
    if as_json:
        print(json.dumps({**shown, "iterations": iterations}))
        return 0
    console = Console(markup=False)
    for name, value in shown.items():
        text = ", ".join(value) if isinstance(value, list) else value
        console.print(f"{name.replace('_', ' '):<14} {text}", soft_wrap=True)
    table = Table(title="Iterations", title_justify="left")
    for heading in ("iteration", "block", "miner", "rule", "accuracy", "seconds"):
        table.add_column(heading, overflow="fold")
    for heading in ("contributors", "left out", "not revealed"):
        table.add_column(heading, overflow="fold")
    for row in iterations:
        table.add_row(
            str(row["iteration"]),
            str(row["block"]),
            row["miner"],
            row["rule"],
            f"{row['accuracy']:.1%}",
            f"{row['seconds']:.1f}",
            *(", ".join(row[who]) for who in ("contributors", "left_out", "not_revealed")),
        )
    console.print(table)
    return 0


def _iteration(iteration: Iteration, chain: LoadedChain) -> dict[str, Any]:
    block, model = iteration.block, iteration.model
    return {
        "iteration": model.current_iter,
        "block": block.height,
        "miner": chain.name(block.miner),
        "rule": model.rule,
        "accuracy": model.accuracy,
        "seconds": iteration.seconds,
        **chain.contributions[block.height],
        "global_cid": model.global_cid,
    }
