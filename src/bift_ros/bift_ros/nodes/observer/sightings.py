"""A fleet's messages as what an onlooker keeps of them: checked in form, bounded in size.

Nothing is authenticated, since an onlooker has no genesis. But a block is what its hash says:
header and body fit the hash, or it is refused.
"""

from __future__ import annotations

from collections import Counter

from bift_msgs import msg

from bift_ros.consensus.blocks import MAX_BLOCK_BYTES, Block, ModelInfo
from bift_ros.consensus.exceptions import FieldError, MalformedBlock
from bift_ros.consensus.fields import NAME, check_integer, check_text
from bift_ros.consensus.payloads import MAX_ITERATIONS, ModelUpdate
from bift_ros.consensus.transactions import Transaction
from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.monitoring.sightings import BlockSeen, ModelSeen, TipSeen, UpdateSeen
from bift_ros.monitoring.status import VehicleStatus
from bift_ros.nodes import convert
from bift_ros.nodes.status_message import MAX_TEXT, status_from_message


def block_seen(message: msg.Block) -> BlockSeen:
    """A block, named by the hash of its own header. Raises MalformedBlock."""
    block = convert.block_from_message(message)
    if len(block.to_bytes()) > MAX_BLOCK_BYTES:
        raise MalformedBlock(f"{len(block.to_bytes())} bytes, more than {MAX_BLOCK_BYTES}")
    if block.body.hash != block.header.body_hash:
        raise MalformedBlock("the body is not the one that the header names")
    header, info = block.header, block.body.model_info
    return BlockSeen(
        hash=header.hash.hex(),
        previous_hash=header.previous_hash.hex(),
        height=header.height,
        miner=header.miner,
        timestamp=header.timestamp,
        transactions=Counter(tx.payload.KIND for tx in block.body.transactions),
        updates=_updates(block),
        model=_model(info) if info is not None else None,
    )


def _updates(block: Block) -> tuple[UpdateSeen, ...]:
    return tuple(
        UpdateSeen(tx.sender, tx.payload.cid, tx.payload.accuracy, tx.payload.sample_count)
        for tx in block.body.transactions
        if isinstance(tx.payload, ModelUpdate)
    )


def _model(info: ModelInfo) -> ModelSeen:
    return ModelSeen(
        model_id=info.model_id,
        current_iter=info.current_iter,
        total_iter=info.total_iter,
        global_cid=info.global_cid,
        rule=info.rule,
        accuracy=info.accuracy,
        contributors=info.contributors,
    )


def transaction_seen(message: msg.Transaction) -> Transaction:
    """A transaction; its kind is `payload.KIND`. Raises MalformedTransaction."""
    return convert.transaction_from_message(message)


def tip_seen(message: msg.Tip) -> TipSeen:
    """Where a vehicle stands. Raises FieldError."""
    if not is_vehicle_name(message.name) or len(message.name) > MAX_TEXT:
        raise FieldError(f"name: {message.name[:80]!r} is no vehicle's name")
    tip = convert.tip_from_message(message)
    return TipSeen(message.name, tip.sender, tip.height, tip.hash.hex(), tip.provider)


def status_seen(message: msg.VehicleStatus, topic_of: str) -> VehicleStatus:
    """What the vehicle on whose topic it came says of itself. Raises FieldError."""
    if message.name != topic_of:
        raise FieldError(f"name: {message.name[:80]!r} speaks on the topic of {topic_of}")
    return status_from_message(message)


def check_progress(message: msg.TrainingProgress) -> None:
    """Refuse a training's epoch that is out of bounds; raises FieldError."""
    check_text("model_id", message.model_id, NAME)
    check_integer("iteration", message.iteration, 1, MAX_ITERATIONS)
