"""What can happen to a peer: everything that comes in, time aside."""

from __future__ import annotations

from dataclasses import dataclass

from bift_ros.chain.tips import SignedTip
from bift_ros.consensus.blocks import Block, Header, SignedHeader
from bift_ros.consensus.payloads import Payload
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.transactions import Transaction
from bift_ros.peer.effects import TrainingRequest


class Event:
    """One thing that has happened."""


@dataclass(frozen=True)
class TransactionReceived(Event):
    """A transaction came in from another vehicle."""

    transaction: Transaction


@dataclass(frozen=True)
class BlockReceived(Event):
    """A block came in, announced by its miner or as an answer to `RequestBlocks`."""

    block: Block


@dataclass(frozen=True)
class TipReceived(Event):
    """Another vehicle said which block it stands on."""

    tip: SignedTip


@dataclass(frozen=True)
class HeadersAnswered(Event):
    """A `RequestHeaders` effect ended; nothing in it has been checked."""

    peer: str
    headers: tuple[SignedHeader, ...]
    """Upwards from the height asked for; empty where the vehicle gave none."""
    quorums: tuple[Quorum, ...] = ()
    """Its newest certificate, and justifications, as far as they were asked for."""


@dataclass(frozen=True)
class BlocksAnswered(Event):
    """A `RequestBlocks` effect ended; its blocks have come in as `BlockReceived` before."""

    peer: str


@dataclass(frozen=True)
class KeysAnswered(Event):
    """A `RequestKeys` effect ended; nothing in it has been checked."""

    peer: str
    transactions: tuple[Transaction, ...]
    """Those that gave the keys, downwards from the newest; empty where the vehicle gave none."""
    left: int
    """How many older ones it has."""


@dataclass(frozen=True)
class SnapshotAnswered(Event):
    """A vehicle has answered a `RequestSnapshot` effect."""

    peer: str
    certificate: bytes
    """What shows that a block is final, and the state after it; empty where it has none."""
    cid: str
    """The file with the state."""


@dataclass(frozen=True)
class FileFetched(Event):
    """A file asked for by a `Fetch` effect is here, its bytes checked against its CID."""

    cid: str
    data: bytes


@dataclass(frozen=True)
class FetchFailed(Event):
    """No provider gave the file."""

    cid: str
    reason: str
    final: bool = False
    """Whether whoever gives it gives no file of that size: to ask again at once is in vain."""


@dataclass(frozen=True)
class Trained(Event):
    """A training that a `Train` effect asked for ended well; its update is in storage."""

    request: TrainingRequest
    cid: str
    accuracy: float
    """On the vehicle's own held-out share, in [0, 1]."""
    sample_count: int


@dataclass(frozen=True)
class TrainingFailed(Event):
    """A training ended without an update: diverged, out of memory, or cancelled."""

    request: TrainingRequest
    reason: str


@dataclass(frozen=True)
class NonceFound(Event):
    """The proof-of-work search that a `Mine` effect asked for ended."""

    header: Header


@dataclass(frozen=True)
class DatasetChanged(Event):
    """The private dataset now holds this many training samples."""

    samples: int


@dataclass(frozen=True)
class Submit(Event):
    """This vehicle's owner wants a transaction signed and sent."""

    payload: Payload


@dataclass(frozen=True)
class SetMining(Event):
    """This vehicle's owner wants it to make blocks from now on, or to make none."""

    mine: bool


@dataclass(frozen=True)
class Tick(Event):
    """Time has passed; sent at least twice a second."""
