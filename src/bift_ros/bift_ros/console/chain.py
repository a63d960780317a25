"""`./bift chain show|verify|export`: the chain of a vehicle, running or not."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bift_ros.chain.keyring import Keyring
from bift_ros.chain.store import ChainStore
from bift_ros.chain.vehicle_folders import VehicleFolders
from bift_ros.chain.verification import verify_chain
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.genesis import Genesis
from bift_ros.console.chain_export import FORMATS
from bift_ros.console.errors import CommandError
from bift_ros.console.own_vehicle import own_vehicle
from bift_ros.console.read_chain import LoadedChain, add_source_arguments, read_chain, utc
from bift_ros.console.stored_chain import add_data_arguments, height_of, open_chain
from bift_ros.console.transaction_text import KINDS, says, transaction_object
from bift_ros.history.blocks import summary_of
from bift_ros.storage.stored_files import StoredFiles


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    summary = "Print the blocks of a vehicle's chain, or one block with all that it carries."
    show = actions.add_parser("show", help=summary, description=summary)
    show.add_argument("block", nargs="?", type=int, metavar="BLOCK", help="its height; all: none")
    add_source_arguments(show)
    show.add_argument("--json", action="store_true", help="for machines")
    summary = "Check every block anew and recompute its PoFL from the stored updates."
    add_data_arguments(actions.add_parser("verify", help=summary, description=summary))
    summary = "Write a vehicle's chain for other programs."
    export = actions.add_parser(
        "export",
        help=summary,
        description=summary,
        epilog="json: everything; csv: a row for each block; dot: a graph for Graphviz, with the "
        "other branches where --data is given.",
    )
    export.add_argument("--format", choices=FORMATS, default="json", help="(%(default)s)")
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: print it")
    add_source_arguments(export)


def main(arguments: argparse.Namespace) -> int:
    """Show, verify or export; 1 where verification fails."""
    return {"show": _show, "verify": _verify, "export": _export}[arguments.action](arguments)


def _show(arguments: argparse.Namespace) -> int:
    chain = read_chain(arguments)
    if arguments.block is not None:
        return _show_block(chain, arguments.block, arguments.json)
    blocks = [_summary(block, chain) for block in chain.blocks]
    if arguments.json:
        print(json.dumps({"genesis": chain.genesis.hex(), "name": chain.title, "blocks": blocks}))
        return 0
    table = Table(title=f"{chain.title}, genesis {chain.genesis.hex()[:12]}", title_justify="left")
    for heading in ("block", "hash", "UTC", "miner", "carries", "iteration", "rule"):
        table.add_column(heading, no_wrap=True)
    table.add_column("accuracy", justify="right")
    for block in blocks:
        info = block["model_info"]
        table.add_row(
            str(block["index"]),
            block["hash"][:8],
            block["time"][11:19],
            block["miner"],
            ", ".join(f"{n} {KINDS[kind]}" for kind, n in block["transactions"].items()),
            f"{info['current_iter']}/{info['total_iter']}" if info else "",
            info["rule"] if info else "",
            f"{info['accuracy']:.1%}" if info else "",
        )
    Console(markup=False).print(table)
    return 0


def _show_block(chain: LoadedChain, height: int, as_json: bool) -> int:
    if not 1 <= height <= len(chain.blocks):
        raise CommandError(f"no block {height}: the chain has blocks 1 to {len(chain.blocks)}")
    block = chain.blocks[height - 1]
    transactions = block.body.transactions
    shown = {
        **_summary(block, chain),
        "previous_hash": block.header.previous_hash.hex(),
        "transactions": [transaction_object(tx, chain.name) for tx in transactions],
    }
    if as_json:
        print(json.dumps(shown))
        return 0
    console = Console(markup=False)
    for name in ("index", "hash", "previous_hash", "time", "miner"):
        console.print(f"{name.replace('_', ' '):<14} {shown[name]}", soft_wrap=True)
    for name, value in (shown["model_info"] or {}).items():
        console.print(f"{name.replace('_', ' '):<14} {value}", soft_wrap=True)
    table = Table(title="Transactions", title_justify="left")
    for heading in ("id", "sender", "says"):
        table.add_column(heading, overflow="fold")
    for tx in transactions:
        table.add_row(tx.hash.hex(), chain.name(tx.sender), says(tx.payload, chain.name))
    console.print(table)
    return 0


def _summary(block: Block, chain: LoadedChain) -> dict[str, Any]:
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


def _export(arguments: argparse.Namespace) -> int:
    output: Path | None = arguments.output
    if output is not None and output.exists():
        raise CommandError(f"{output} exists: give another name with -o, or move it away")
    text = FORMATS[arguments.format](read_chain(arguments))
    if output is None:
        print(text, end="")
        return 0
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(str(error)) from error
    print(output)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    genesis, store, folders = open_chain(arguments)
    try:
        return _recompute(genesis, store, folders, arguments.json)
    finally:
        store.close()


def _recompute(genesis: Genesis, store: ChainStore, folders: VehicleFolders, as_json: bool) -> int:
    files, keyring = StoredFiles(folders.storage, folders.kubo), None
    if genesis.policy.encrypt_models:
        keyring = Keyring(own_vehicle(folders.root).key, genesis.hash)
    with Progress(transient=True, disable=as_json) as bar:
        task = bar.add_task("Recomputing", total=height_of(store))
        result = verify_chain(genesis, store, files.get, lambda: bar.advance(task), keyring=keyring)
    names = {m.address: m.name for m in (*genesis.members, *result.state.members.values())}
    outcome = {
        "valid": result.problem is None,
        "problem": result.problem,
        "height": result.state.height,
        "tip": result.state.tip_hash.hex(),
        "model_blocks": result.model_blocks,
        "balances": {names.get(a, a): b for a, b in result.state.balances.items()},
        "rewards_paid": result.rewards_paid,
    }
    if as_json:
        print(json.dumps(outcome))
    elif result.problem is None:
        print(
            f"valid: {result.state.height} blocks, PoFL recomputed for {result.model_blocks}, "
            f"{result.rewards_paid} stake paid and {sum(result.state.balances.values())} owned"
        )
    else:
        print(f"NOT valid: {result.problem}")
    return 0 if result.problem is None else 1
