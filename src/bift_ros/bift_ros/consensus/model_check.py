"""PoFL over a block's updates: how a miner makes a global model and how everybody checks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import NamedTuple

from bift_ros.consensus.blocks import Block, ModelInfo
from bift_ros.consensus.encoding import encode, sha256
from bift_ros.consensus.exceptions import BadUpdateFile, CannotAggregate, WrongModel
from bift_ros.consensus.genesis import Genesis
from bift_ros.consensus.payloads import ModelUpdate
from bift_ros.consensus.state import State, Task
from bift_ros.consensus.transactions import Transaction
from bift_ros.consensus.transition import claimed_accuracy
from bift_ros.pofl.aggregate import AggregationError, Update, aggregate
from bift_ros.pofl.codec import UPDATE_EXPONENT
from bift_ros.pofl.files import ModelFileError, parse_model, parse_update, serialize_model
from bift_ros.storage.cid import cid_of

Fetch = Callable[[str], bytes]
"""Gives the file of a CID, already checked against it and decrypted where the fleet's files are
encrypted; its own errors pass through."""
Encrypt = Callable[[State, bytes], bytes]
"""Gives the file that the chain after a state wants for a model."""


class ComputedModel(NamedTuple):
    """What PoFL makes of one iteration's updates."""

    info: ModelInfo
    """What the block says of it."""
    file: bytes
    """The new global model's file, which the CID names."""
    notes: tuple[str, ...]
    """Where the iteration fell short of what the rule's paper asks for, in words."""
    model: bytes
    """What is in the file: the same, unless the fleet's files are encrypted."""


def as_it_is(state: State, model: bytes) -> bytes:
    """The file of a model where files are not encrypted."""
    return model


def compute_model(
    state: State,
    genesis: Genesis,
    transactions: Sequence[Transaction],
    fetch: Fetch,
    encrypt: Encrypt = as_it_is,
) -> ComputedModel:
    """Aggregate the model updates among `transactions` on top of `state`, the parent's.

    The transactions are taken as valid in `state`. Raises BadUpdateFile where a member's file is
    malformed, CannotAggregate where the base model's is or the rule has no result for these
    updates, and whatever `fetch` and `encrypt` raise.
    """
    task = state.task
    if task is None:
        raise CannotAggregate("no task is active")
    try:
        spec, base, exponent = parse_model(fetch(task.global_cid))
    except ModelFileError as error:
        raise CannotAggregate(
            f"the global model {task.global_cid} is malformed: {error}"
        ) from error
    updates = []
    senders = {}
    for tx in transactions:
        if not isinstance(tx.payload, ModelUpdate):
            continue
        cid = tx.payload.cid
        try:
            values = parse_update(fetch(cid), spec, UPDATE_EXPONENT)
        except ModelFileError as error:
            raise BadUpdateFile(tx.sender, cid, str(error)) from error
        senders[cid] = tx.sender
        updates.append(Update(cid, tx.sender, tx.payload.sample_count, values))
    try:
        result = aggregate(
            base,
            updates,
            rule=task.proposal.rule,
            byzantine=genesis.policy.byzantine_among(len(updates)),
            seed=draw_seed(task, transactions),
            iteration=task.current_iter + 1,
            update_exponent=UPDATE_EXPONENT,
            model_exponent=exponent,
        )
    except AggregationError as error:
        raise CannotAggregate(f"{len(updates)} updates can't be aggregated: {error}") from error
    contributors = tuple(sorted(senders[cid] for cid in result.contributors))
    model = serialize_model(spec, result.model, exponent)
    file = encrypt(state, model)
    info = ModelInfo(
        model_id=task.model_id,
        init_cid=task.proposal.init_cid,
        global_cid=cid_of(file),
        total_iter=task.proposal.total_iter,
        current_iter=task.current_iter + 1,
        from_addr=task.proposer,
        accuracy=claimed_accuracy(tuple(transactions), contributors),
        rule=result.rule,
        contributors=contributors,
    )
    return ComputedModel(info, file, result.notes, model)


def draw_seed(task: Task, transactions: Sequence[Transaction]) -> bytes:
    """Give what the rule `mixed` draws from, 32 bytes: no block since the base model's is in it.

    It is the block that brought the base model, which is there before anybody commits, and the
    salts of the block's updates, which nobody shows before all have committed.
    """
    updates = [tx.payload for tx in transactions if isinstance(tx.payload, ModelUpdate)]
    updates.sort(key=lambda update: update.cid)
    return sha256(encode([task.base_block, *(update.salt for update in updates)]))


def check_model(
    state: State, genesis: Genesis, block: Block, fetch: Fetch, encrypt: Encrypt = as_it_is
) -> ComputedModel:
    """Recompute a model block's PoFL on its parent's `state`.

    Raises WrongModel naming each field that differs, or what `compute_model` raises.
    """
    if block.body.model_info is None:
        raise WrongModel("the block has no model info to check")
    computed = compute_model(state, genesis, block.body.transactions, fetch, encrypt)
    compare_model(block, computed)
    return computed


def compare_model(block: Block, computed: ComputedModel) -> None:
    """Refuse a block that claims anything but what PoFL made of its updates: WrongModel."""
    claimed = block.body.model_info
    assert claimed is not None, "the state transition wants one in a model block"
    differences = [
        f"{name} is {getattr(claimed, name)}, recomputed {getattr(computed.info, name)}"
        for name in (field.name for field in fields(ModelInfo))
        if getattr(claimed, name) != getattr(computed.info, name)
    ]
    if differences:
        raise WrongModel("; ".join(differences))
