"""`./bift task list|show|cancel`: the chain's learning tasks, and members' votes to end one."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from bift_ros.consensus.exceptions import ChainError
from bift_ros.consensus.payloads import CancelTask
from bift_ros.console.arguments import Parser, add_vehicle_arguments
from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.keys import add_key_arguments, signing_key
from bift_ros.console.output import listing, show, table
from bift_ros.console.read_chain import add_source_arguments, read_chain
from bift_ros.console.vehicles import running_vehicle, submit
from bift_ros.history.blocks import Proposal
from bift_ros.history.iterations import Iteration, Task
from bift_ros.history.named_chain import NamedChain, utc


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    tasks = parser.add_action(
        "list", "List the tasks that were proposed, and how far each is.", _list
    )
    one = parser.add_action(
        "show",
        "Print one task: what was proposed, and what each iteration came to.",
        _show,
    )
    one.add_argument("task", nargs="?", metavar="TASK", help="its name (default: the newest)")
    for action in (tasks, one):
        add_source_arguments(action)
        action.add_json()
    cancel = parser.add_action(
        "cancel",
        "Vote, as a member, for the active task to end.",
        _cancel,
        epilog="It ends once more members than the genesis' threshold have voted. What it has "
        "learned stays, and another may be proposed.",
    )
    cancel.add_argument("task", metavar="TASK", help="its name")
    add_key_arguments(cancel, "the voting member's (default: the only account)")
    add_vehicle_arguments(cancel, "passes it on")
    cancel.add_wait()
    cancel.add_json()


def _list(arguments: argparse.Namespace) -> None:
    chain = read_chain(arguments)
    height, tasks = chain.height, [_summary(task, chain) for task in chain.tasks]
    rows = (
        (
            task["model_id"],
            task["state"],
            f"{task['current_iter']}/{task['total_iter']}",
            "" if task["accuracy"] is None else f"{task['accuracy']:.1%}",
            task["rule"],
            task["proposer"],
            task["proposed_at"][:16].replace("T", " "),
        )
        for task in tasks
    )
    headings = ("task", "state", "iteration", "accuracy", "rule", "proposer", "since (UTC)")
    title = f"{chain.title}: tasks at block {height}"
    show(arguments.json, {"height": height, "tasks": tasks}, table(title, headings, rows))


def _cancel(arguments: argparse.Namespace) -> None:
    with reporting(ChainError):
        vote = CancelTask(arguments.task)
    key = signing_key(arguments)
    with running_vehicle(arguments, key.address) as (vehicle, client):
        transaction = submit(client, vehicle, key, client.state(key.address), vote, "vote")
    show(
        arguments.json,
        {"id": transaction.hash.hex(), "task": vote.model_id, "vehicle": vehicle},
        f"{vehicle} passes the vote on: the task {vote.model_id} is to end",
    )


def _proposal(task: Task) -> Proposal:
    assert task.proposal is not None, "the chain is read from block 1 on"
    return task.proposal


def _summary(task: Task, chain: NamedChain) -> dict[str, Any]:
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


def _show(arguments: argparse.Namespace) -> None:
    chain = read_chain(arguments)
    wanted = [t for t in chain.tasks if arguments.task in (None, t.model_id)]
    if not wanted:
        known = ", ".join(task.model_id for task in chain.tasks) or "none"
        raise CommandError(
            f"no task {arguments.task or ''}".rstrip() + f" on the chain (there: {known}): "
            "`bift node submit-model` proposes one"
        )
    task = wanted[-1]
    iterations = [_iteration(iteration, chain) for iteration in task.iterations]
    committed = [chain.name(address) for address in task.committed]
    shown = {**asdict(_proposal(task).task), **_summary(task, chain)}
    rows = (
        (
            row["iteration"],
            row["block"],
            row["miner"],
            row["rule"],
            f"{row['accuracy']:.1%}",
            f"{row['seconds']:.1f}",
            *(", ".join(row[who]) for who in ("contributors", "left_out", "not_revealed")),
        )
        for row in iterations
    )
    headings = (
        "iteration", "block", "miner", "rule", "accuracy", "seconds", "contributors", "left out",
        "not revealed",
    )  # fmt: skip
    show(
        arguments.json,
        {**shown, "committed": committed, "iterations": iterations},
        listing({**shown, "committed": ", ".join(committed)}, 14),
        table("Iterations", headings, rows),
    )


def _iteration(iteration: Iteration, chain: NamedChain) -> dict[str, Any]:
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
