"""What a vehicle says of itself, part by part, with the fields of `bift_msgs/VehicleStatus`.

Nothing here is authenticated: it is for display. Every field has the default of its message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum

REST_SECONDS = 3.0
"""A vehicle without news speaks this often."""


class VehicleState(str, Enum):
    """What a vehicle may be doing, as its message has it."""

    __str__ = str.__str__  # the word itself, as StrEnum of Python 3.11 has it

    IDLE = "idle"
    COLLECTING = "collecting"
    TRAINING = "training"
    MINING = "mining"
    NO_DATA = "no data: does not train"


@dataclass(frozen=True)
class ChainStatus:
    """Where it stands on the chain, and what it has there."""

    height: int = 0
    tip: str = ""
    """Hash in hex."""
    balance: int = 0
    mempool: int = 0
    peers: int = 0
    refused: int = 0
    """Transactions, blocks and files since its start."""
    last_refusal: str = ""
    equivocations: tuple[str, ...] = ()
    """A line for each miner that it caught signing two blocks on one parent."""
    final_height: int = 0
    final: str = ""
    """Hash of the last final block in hex."""
    final_round: int = 0
    """Of its certificate."""
    conflict: str = ""
    """The last certificate that it was shown for a rival of a final block."""


@dataclass(frozen=True)
class TaskStatus:
    """How far the task is that its chain is working on; `model_id` is empty if there is none."""

    model_id: str = ""
    current_iter: int = 0
    total_iter: int = 0
    global_cid: str = ""
    accuracy: float = 0.0
    rule: str = ""
    contributors: int = 0
    cancelled: bool = False
    """Whether the members have ended it by their votes."""

    @property
    def is_done(self) -> bool:
        """Whether all of its iterations are."""
        return 0 < self.total_iter == self.current_iter


@dataclass(frozen=True)
class TrainingStatus:
    """Its local training, and what its last iteration took."""

    epoch: int = 0
    local_epochs: int = 0
    loss: float = 0.0
    update_bytes: int = 0
    training_seconds: float = 0.0
    storage_seconds: float = 0.0
    consensus_seconds: float = 0.0


@dataclass(frozen=True)
class DatasetStatus:
    """Its private dataset; `class_samples` are in the order of `perception.classes.CLASSES`."""

    frames_seen: int = 0
    skipped: int = 0
    samples: int = 0
    class_samples: tuple[int, ...] = ()


@dataclass(frozen=True)
class ResourceStatus:
    """What it takes of its host."""

    rss_mb: int = 0
    peak_rss_mb: int = 0
    gpu_mb: int = 0
    gpu_limit_mb: int = 0
    disk_free_mb: int = 0
    fetched_bytes: int = 0
    served_bytes: int = 0


@dataclass(frozen=True)
class VehicleStatus:
    """All that a vehicle says of itself at once."""

    name: str
    address: str = ""
    state: str = ""
    """A `VehicleState`, or what another version of the vehicle calls it."""
    mines: bool = False
    chain: ChainStatus = ChainStatus()
    task: TaskStatus = TaskStatus()
    training: TrainingStatus = TrainingStatus()
    dataset: DatasetStatus = DatasetStatus()
    resources: ResourceStatus = ResourceStatus()


PARTS = {f.name: type(f.default) for f in fields(VehicleStatus) if is_dataclass(f.default)}
"""The dataclass of each part of a status, by its name there."""

Statuses = Mapping[str, VehicleStatus | None]
"""The newest status of each vehicle by name; None until it has spoken."""
