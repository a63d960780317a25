"""What a peer wants done: everything that goes out. A driver carries it out."""

from __future__ import annotations

from dataclasses import dataclass

from bift_ros.chain.tips import SignedTip
from bift_ros.consensus.blocks import Block, Header, SignedHeader
from bift_ros.consensus.payloads import ProposeTask
from bift_ros.consensus.quorums import Quorum
from bift_ros.consensus.transactions import Transaction
from bift_ros.consensus.votes import Vote


class Effect:
    """One thing that a peer wants done."""


class Request(Effect):
    """What is asked of others."""


@dataclass(frozen=True)
class BroadcastTransaction(Effect):
    """Send a transaction of this vehicle to every other."""

    transaction: Transaction


@dataclass(frozen=True)
class BroadcastBlock(Effect):
    """Send a block that this vehicle mined to every other."""

    block: Block


@dataclass(frozen=True)
class AnnounceTip(Effect):
    """Tell the fleet which block this vehicle stands on."""

    tip: SignedTip


@dataclass(frozen=True)
class RequestHeaders(Request):
    """Ask one vehicle for the headers of its chain upwards; answer with `HeadersAnswered`."""

    peer: str
    from_height: int
    final_height: int = 0
    """Where it has a certificate for a higher block, that is wanted too."""
    justified_round: int = 0
    """And the justifications of later rounds."""


@dataclass(frozen=True)
class RequestBlocks(Request):
    """Ask one vehicle for blocks by hash; answer with `BlockReceived`, then `BlocksAnswered`."""

    peer: str
    hashes: tuple[bytes, ...]


@dataclass(frozen=True)
class RequestKeys(Request):
    """Ask one vehicle for the keys of model files that its chain has; answer `KeysAnswered`."""

    peer: str
    before: int
    """How many of its keys, the oldest, are of interest; it begins with the newest of them."""


@dataclass(frozen=True)
class RequestSnapshot(Request):
    """Ask one vehicle for its newest snapshot; answer with `SnapshotAnswered`."""

    peer: str


@dataclass(frozen=True)
class Fetch(Request):
    """Get a file from own storage or from a provider; answer `FileFetched` or `FetchFailed`."""

    cid: str
    providers: tuple[str, ...]
    largest: int
    """Bytes that it may have: no more of it is to be fetched, nor kept."""


@dataclass(frozen=True)
class Put(Effect):
    """Have a file in storage and serve it."""

    cid: str
    data: bytes
    pinned: bool
    """Whether until it is unpinned; else as what is fetched."""


@dataclass(frozen=True)
class Pin(Effect):
    """Keep fetched files, as far as they are here: the chain that is followed has them."""

    cids: tuple[str, ...]


@dataclass(frozen=True)
class Unpin(Effect):
    """Let files go when room is needed: the chain has gone on since it named them."""

    cids: tuple[str, ...]


@dataclass(frozen=True)
class Discard(Effect):
    """Remove fetched files, or what is here of them, unless they are pinned."""

    cids: tuple[str, ...]


@dataclass(frozen=True)
class TrainingRequest:
    """One local training: which task, which iteration it makes, from which global model."""

    task: ProposeTask
    iteration: int
    base_cid: str


@dataclass(frozen=True)
class Train(Effect):
    """Start a local training; a running one is for an older model and is to be cancelled."""

    request: TrainingRequest


@dataclass(frozen=True)
class CancelTraining(Effect):
    """The running training is for a model that the chain has left behind."""


@dataclass(frozen=True)
class Mine(Effect):
    """Search a nonce for this header (replacing any running search); answer `NonceFound`."""

    header: Header


@dataclass(frozen=True)
class StopMining(Effect):
    """The running search is for a block that is no longer wanted."""


@dataclass(frozen=True)
class TipChanged(Effect):
    """The peer stands on another block: one more, or another branch."""

    block: Block
    removed: int
    """How many blocks of the old branch were left (0: the chain just grew)."""
    notes: tuple[str, ...] = ()
    """Where the new block's aggregation fell short of what the rule's paper asks for."""


@dataclass(frozen=True)
class StartedFrom(Effect):
    """The peer stands on a final block whose state others have given it."""

    height: int
    block_hash: bytes


@dataclass(frozen=True)
class EquivocationFound(Effect):
    """A miner signed two blocks on one parent, which an honest one never does."""

    first: SignedHeader
    second: SignedHeader


@dataclass(frozen=True)
class BlockFinal(Effect):
    """A certificate says that nobody leaves this block or any below it any more."""

    height: int
    hash: bytes


@dataclass(frozen=True)
class DoubleVoteFound(Effect):
    """A member has cast two votes that no honest one casts both."""

    first: Vote
    second: Vote


@dataclass(frozen=True)
class ConflictingCertificate(Effect):
    """Somebody has shown a certificate for a rival of the final block: over a third have lied."""

    certificate: Quorum
    reason: str


@dataclass(frozen=True)
class Refused(Effect):
    """Something was refused; said once for each thing."""

    what: str
    """`transaction`, `block`, `header`, `tip`, `vote`, `votes`, `file`, `key`, `commit`, `update`,
    `task`, `training`, `snapshot` or `note`, one of the vehicle's own in its store."""
    sender: str
    """The address that made it, of a file empty; a hash's or CID's digits are in the reason."""
    reason: str
