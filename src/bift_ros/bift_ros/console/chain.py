"""`./bift chain show|verify`: a vehicle's chain, read from its data folder."""

from __future__ import annotations

import argparse
import json
from datetime import datetime, timezone
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bift_ros.chain.blocks import Block
from bift_ros.chain.genesis import Genesis, Member
from bift_ros.chain.keyring import Keyring
from bift_ros.chain.store import ChainStore
from bift_ros.chain.transactions import MembershipVote
from bift_ros.chain.verification import verify_chain
from bift_ros.console.own_vehicle import own_vehicle
from bift_ros.console.stored_chain import add_data_arguments, height_of, open_chain
from bift_ros.nodes.folders import VehicleFolders
from bift_ros.storage.stored_files import StoredFiles

_KINDS = {
    "transfer": "transfer",
    "propose_task": "task",
    "model_commit": "commit",
    "model_update": "update",
    "membership_vote": "vote",
    "share_file": "share",
    "withdraw_file": "withdrawal",
    "group_key": "key",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sub-commands and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in (
        ("show", "Print the blocks of a vehicle's chain, and who owns what."),
        ("verify", "Check every block anew and recompute its PoFL from the stored updates."),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        add_data_arguments(action)


def main(arguments: argparse.Namespace) -> int:
    """Show or verify; 1 where verification fails."""
    genesis, store, folders = open_chain(arguments)
    try:
        if arguments.action == "show":
            return _show(genesis, store, arguments.json)
        return _verify(genesis, store, folders, arguments.json)
    finally:
        store.close()


def _show(genesis: Genesis, store: ChainStore, as_json: bool) -> int:
    chain = store.canonical(1, height_of(store))
    votes = [v.payload for b in chain for v in b.body.transactions]
    candidates = [Member(v.name, v.public_key) for v in votes if isinstance(v, MembershipVote)]
    names = {m.address: m.name for m in (*candidates, *genesis.members)}
    blocks = [_summary(b, names) for b in chain]
    if as_json:
        print(json.dumps({"genesis": genesis.hash.hex(), "name": genesis.name, "blocks": blocks}))
        return 0
    table = Table(title=f"{genesis.name}, genesis {genesis.hash.hex()[:12]}", title_justify="left")
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
            ", ".join(f"{n} {_KINDS[kind]}" for kind, n in block["transactions"].items()),
            f"{info['current_iter']}/{info['total_iter']}" if info else "",
            info["rule"] if info else "",
            f"{info['accuracy']:.1%}" if info else "",
        )
    Console().print(table)
    return 0


def _summary(block: Block, names: dict[str, str]) -> dict[str, Any]:
    kinds: dict[str, int] = {}
    for transaction in block.body.transactions:
        kinds[transaction.payload.KIND] = kinds.get(transaction.payload.KIND, 0) + 1
    info = block.body.model_info
    seconds = block.header.timestamp / 1000
    return {
        "index": block.header.index,
        "hash": block.hash.hex(),
        "time": datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds"),
        "miner": names.get(block.header.miner, block.header.miner),
        "transactions": kinds,
        "model_info": info
        and {
            "model_id": info.model_id,
            "global_cid": info.global_cid,
            "current_iter": info.current_iter,
            "total_iter": info.total_iter,
            "accuracy": info.accuracy,
            "rule": info.rule,
            "contributors": [names.get(a, a) for a in info.contributors],
        },
    }


def _verify(genesis: Genesis, store: ChainStore, folders: VehicleFolders, as_json: bool) -> int:
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
        "height": result.state.index,
        "tip": result.state.tip_hash.hex(),
        "model_blocks": result.model_blocks,
        "balances": {names.get(a, a): b for a, b in result.state.balances.items()},
        "rewards_paid": result.rewards_paid,
    }
    if as_json:
        print(json.dumps(outcome))
    elif result.problem is None:
        print(
            f"valid: {result.state.index} blocks, PoFL recomputed for {result.model_blocks}, "
            f"{result.rewards_paid} stake paid and {sum(result.state.balances.values())} owned"
        )
    else:
        print(f"NOT valid: {result.problem}")
    return 0 if result.problem is None else 1
