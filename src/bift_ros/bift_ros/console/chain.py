"""`./bift chain show|verify|export`: the chain of a vehicle, running or not."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.progress import Progress

from bift_ros.chain.keyring import Keyring
from bift_ros.chain.verification import Verification, verify_stored
from bift_ros.consensus.blocks import Block
from bift_ros.console.arguments import Parser
from bift_ros.console.errors import CommandError, reporting
from bift_ros.console.output import listing, show, table
from bift_ros.console.own_vehicle import own_vehicle
from bift_ros.console.read_chain import (
    add_folder_arguments,
    add_source_arguments,
    open_chain,
    read_chain,
)
from bift_ros.history.blocks import summary_of
from bift_ros.history.export import FORMATS
from bift_ros.history.named_chain import NamedChain, utc
from bift_ros.history.transaction_text import KINDS, says, transaction_object


def add_arguments(parser: Parser) -> None:
    """Sub-commands and their options."""
    summary = "Print the blocks of a vehicle's chain, or one block with all that it carries."
    blocks = parser.add_action("show", summary, _show)
    blocks.add_argument("block", nargs="?", type=int, metavar="BLOCK", help="its height; all: none")
    add_source_arguments(blocks)
    blocks.add_json()
    summary = "Check every block anew and recompute its PoFL from the stored updates."
    add_folder_arguments(parser.add_action("verify", summary, _verify))
    export = parser.add_action(
        "export",
        "Write a vehicle's chain for other programs.",
        _export,
        epilog="json: everything; csv: a row for each block; dot: a graph for Graphviz, with the "
        "other branches where --data is given.",
    )
    export.add_argument("--format", choices=FORMATS, default="json", help="(%(default)s)")
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: print it")
    add_source_arguments(export)


def _show(arguments: argparse.Namespace) -> None:
    chain = read_chain(arguments)
    if arguments.block is not None:
        _show_block(chain, arguments.block, arguments.json)
        return
    blocks = [_summary(block, chain) for block in chain.blocks]
    rows = (
        (
            block["index"],
            block["hash"][:8],
            block["time"][11:19],
            block["miner"],
            ", ".join(f"{n} {KINDS[kind]}" for kind, n in block["transactions"].items()),
            f"{info['current_iter']}/{info['total_iter']}" if info else "",
            info["rule"] if info else "",
            f"{info['accuracy']:.1%}" if info else "",
        )
        for block in blocks
        for info in (block["model_info"],)
    )
    headings = ("block", "hash", "UTC", "miner", "carries", "iteration", "rule")
    title = f"{chain.title}, genesis {chain.genesis.hex()[:12]}"
    show(
        arguments.json,
        {"genesis": chain.genesis.hex(), "name": chain.title, "blocks": blocks},
        table(title, (*headings, "accuracy"), rows, right=("accuracy",), rigid=headings),
    )


def _show_block(chain: NamedChain, height: int, as_json: bool) -> None:
    lowest = chain.blocks[0].header.height if chain.blocks else 1
    if not lowest <= height <= chain.height:
        raise CommandError(f"no block {height}: the chain has blocks {lowest} to {chain.height}")
    block = chain.blocks[height - lowest]
    transactions = block.body.transactions
    shown = {
        **_summary(block, chain),
        "previous_hash": block.header.previous_hash.hex(),
        "transactions": [transaction_object(tx, chain.name) for tx in transactions],
    }
    names = ("index", "hash", "previous_hash", "time", "miner")
    facts = {name: shown[name] for name in names} | (shown["model_info"] or {})
    rows = ((tx.hash.hex(), chain.name(tx.sender), says(tx.payload, chain.name))
            for tx in transactions)  # fmt: skip
    show(
        as_json,
        shown,
        listing(facts, 14),
        table("Transactions", ("id", "sender", "says"), rows),
    )


def _summary(block: Block, chain: NamedChain) -> dict[str, Any]:
    summary = summary_of(block)
    model = summary.model
    return {
        "index": summary.height,
        "hash": summary.hash,
        "time": utc(summary.timestamp),
        "miner": chain.name(summary.miner),
        "transactions": summary.transactions,
        "model_info": model and {**asdict(model), **chain.contributions[summary.height]},
    }


def _export(arguments: argparse.Namespace) -> None:
    output: Path | None = arguments.output
    if output is not None and output.exists():
        raise CommandError(f"{output} exists: give another name with -o, or move it away")
    text = FORMATS[arguments.format](read_chain(arguments))
    if output is None:
        print(text, end="")
        return
    with reporting(OSError):
        output.write_text(text, encoding="utf-8")
    print(output)


def _verify(arguments: argparse.Namespace) -> int:
    with open_chain(arguments) as (genesis, store, folders):
        keyring = None
        if genesis.policy.encrypt_models:
            keyring = Keyring(own_vehicle(folders.root).key, genesis.hash)
        tip = store.header(store.tip)
        with Progress(transient=True, disable=arguments.json) as bar:
            task = bar.add_task("Recomputing", total=tip.height if tip is not None else 0)
            result = verify_stored(folders, genesis, keyring, lambda: bar.advance(task))
    state, valid = result.state, result.problem is None
    names = {m.address: m.name for m in (*genesis.members, *state.members.values())}
    outcome = {
        "valid": valid,
        "problem": result.problem,
        "height": state.height,
        "tip": state.tip_hash.hex(),
        "verified_from": result.since + 1,
        "model_blocks": len(result.models),
        "model_blocks_unchecked": result.unchecked,
        "final": result.final,
        "balances": {names.get(a, a): b for a, b in state.balances.items()},
        "rewards_paid": result.rewards_paid,
    }
    said = (
        f"valid: {_blocks_verified(result)}, PoFL recomputed for {len(result.models)}, "
        f"{result.rewards_paid} stake paid and {sum(state.balances.values())} owned"
        if valid
        else f"NOT valid: {result.problem}"
    )
    show(arguments.json, outcome, said)
    return 0 if valid else 1


def _blocks_verified(result: Verification) -> str:
    """From where to where: older blocks and files may be gone."""
    said = f"{result.state.height - result.since} blocks"
    if result.since:
        said += f" from block {result.since + 1} on (older ones are not kept)"
    if result.unchecked:
        said += f", {result.unchecked} older models without their files"
    return f"{said}, final up to block {result.final}" if result.final else said
