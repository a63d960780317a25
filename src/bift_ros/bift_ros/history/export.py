"""A chain in the formats of other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from bift_ros.consensus.blocks import Block
from bift_ros.history.named_chain import NamedChain, utc
from bift_ros.history.transaction_text import KINDS, transaction_object

_COLUMNS = (
    "index", "hash", "previous_hash", "time", "miner", "difficulty", "nonce", *KINDS, "model_id",
    "iteration", "total_iterations", "rule", "accuracy", "contributors", "left_out",
    "not_revealed", "global_cid",
)  # fmt: skip


def to_json(chain: NamedChain) -> str:
    """Everything, as one object."""
    document = {
        "name": chain.title,
        "genesis": chain.genesis.hex(),
        "members": chain.names,
        "blocks": [_block_object(block, chain) for block in chain.blocks],
        "other_branches": [_block_object(block, chain) for block in chain.side],
    }
    return json.dumps(document, indent=1) + "\n"


def _block_object(block: Block, chain: NamedChain) -> dict[str, Any]:
    header = asdict(block.header)
    return {
        **{name: v.hex() if isinstance(v, bytes) else v for name, v in header.items()},
        "hash": block.hash.hex(),
        "miner_name": chain.name(block.header.miner),
        "signature": block.signature.hex(),
        "transactions": [transaction_object(tx, chain.name) for tx in block.body.transactions],
        "model_info": block.body.model_info and asdict(block.body.model_info),
    }


def to_csv(chain: NamedChain) -> str:
    """A row for each block: who made it, how many transactions of each kind, and the model."""
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    for block in chain.blocks:
        header, info = block.header, block.body.model_info
        kinds = [tx.payload.KIND for tx in block.body.transactions]
        row: dict[str, Any] = {
            "index": header.height,
            "hash": block.hash.hex(),
            "previous_hash": header.previous_hash.hex(),
            "time": utc(header.timestamp),
            "miner": chain.name(header.miner),
            "difficulty": header.difficulty,
            "nonce": header.nonce,
            **{kind: kinds.count(kind) for kind in KINDS},
        }
        if info is not None:
            row |= {
                "model_id": info.model_id,
                "iteration": info.current_iter,
                "total_iterations": info.total_iter,
                "rule": info.rule,
                "accuracy": info.accuracy,
                **{k: " ".join(names) for k, names in chain.contributions[header.height].items()},
                "global_cid": info.global_cid,
            }
        table.writerow(row)
    return text.getvalue()


def to_dot(chain: NamedChain) -> str:
    """A graph of the blocks, each leading to its parent; those of other branches are dashed."""
    lines = ["digraph chain {", "  rankdir=RL;", "  node [shape=box];"]
    lines.append(f'  "{chain.genesis.hex()}" [label="genesis" shape=ellipse];')
    for blocks, style in ((chain.blocks, "solid"), (chain.side, "dashed")):
        for block in blocks:
            name, parent = block.hash.hex(), block.header.previous_hash.hex()
            label = "\\n".join(_quotable(line) for line in _label(block, chain))
            lines.append(f'  "{name}" [label="{label}" style={style}];')
            lines.append(f'  "{name}" -> "{parent}" [style={style}];')
    return "\n".join([*lines, "}", ""])


def _label(block: Block, chain: NamedChain) -> list[str]:
    info, transactions = block.body.model_info, block.body.transactions
    lines = [f"{block.header.height}  {block.hash.hex()[:8]}", chain.name(block.header.miner)]
    if info is None:
        kinds = [tx.payload.KIND for tx in transactions]
        return lines + [f"{kinds.count(k)} {KINDS[k]}" for k in dict.fromkeys(kinds)]
    lines.append(f"{info.model_id} {info.current_iter}/{info.total_iter}, {info.rule}")
    return [*lines, f"accuracy {info.accuracy:.1%}"]


def _quotable(text: str) -> str:
    """A text within double quotes of the DOT language."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


FORMATS: dict[str, Callable[[NamedChain], str]] = {"json": to_json, "csv": to_csv, "dot": to_dot}
