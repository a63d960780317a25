"""What history keeps of a block: small beside the block itself, whether it was stored or heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields

from bift_ros.consensus.blocks import Block, ModelInfo
from bift_ros.consensus.payloads import CancelTask, ModelCommit, ModelUpdate, ProposeTask


@dataclass(frozen=True)
class UpdateSummary:
    """A model update that a block carries."""

    sender: str
    """Address."""
    accuracy: float
    """Share of the sender's held-out samples that its local model names rightly, 0 to 1."""
    samples: int


@dataclass(frozen=True)
class ModelSummary:
    """The new global model that a block brings."""

    model_id: str
    current_iter: int
    total_iter: int
    global_cid: str
    rule: str
    accuracy: float
    """The lower median of what the contributors claim, 0 to 1."""
    contributors: tuple[str, ...]
    """Addresses of those whom the block rewards."""


@dataclass(frozen=True)
class Proposal:
    """A task that a block proposes."""

    proposer: str
    """Address."""
    time: int
    """The block's, milliseconds since the Unix epoch."""
    task: ProposeTask


@dataclass(frozen=True)
class BlockSummary:
    """One block of whichever branch."""

    hash: str
    previous_hash: str
    height: int
    miner: str
    """Address."""
    timestamp: int
    """Milliseconds since the Unix epoch by the miner's clock."""
    transactions: Mapping[str, int]
    """How many of each kind, such as `model_update`."""
    updates: tuple[UpdateSummary, ...] = ()
    model: ModelSummary | None = None
    commits: tuple[str, ...] = ()
    """Addresses of those who commit to an update."""
    proposals: tuple[Proposal, ...] = ()
    opponents: tuple[str, ...] = ()
    """Addresses of those who vote for the active task to end."""


def summary_of(block: Block) -> BlockSummary:
    """Sum up a block, named by the hash of its own header."""
    header, info = block.header, block.body.model_info
    signed = [(tx.sender, tx.payload) for tx in block.body.transactions]
    return BlockSummary(
        hash=header.hash.hex(),
        previous_hash=header.previous_hash.hex(),
        height=header.height,
        miner=header.miner,
        timestamp=header.timestamp,
        transactions=Counter(payload.KIND for _, payload in signed),
        updates=tuple(
            UpdateSummary(sender, update.accuracy, update.sample_count)
            for sender, update in signed
            if isinstance(update, ModelUpdate)
        ),
        model=_model(info) if info is not None else None,
        commits=tuple(sender for sender, payload in signed if isinstance(payload, ModelCommit)),
        proposals=tuple(
            Proposal(sender, header.timestamp, payload)
            for sender, payload in signed
            if isinstance(payload, ProposeTask)
        ),
        opponents=tuple(sender for sender, payload in signed if isinstance(payload, CancelTask)),
    )


def _model(info: ModelInfo) -> ModelSummary:
    return ModelSummary(*(getattr(info, field.name) for field in fields(ModelSummary)))
