"""The state after a final block, from another vehicle: whoever is far behind goes on from there.

What lies between may not be had any more, neither blocks nor the files that they name. Nobody is
trusted for it: the certificate holds the votes of more than two thirds of the members that this
vehicle knows, and names the state. Others have this vehicle's snapshots as files of its storage.
"""

from __future__ import annotations

from dataclasses import dataclass

from bift_ros.chain.blockchain import Blockchain
from bift_ros.chain.certificates import check_certificate, vouch_for
from bift_ros.chain.interface import KEPT_MODELS, MAX_SNAPSHOTS, Snapshot
from bift_ros.consensus.exceptions import BadQuorum, ChainError
from bift_ros.consensus.fields import check_cid
from bift_ros.consensus.quorums import Members, Quorum
from bift_ros.consensus.state_bytes import parse_state
from bift_ros.consensus.votes import Stage
from bift_ros.peer.context import Context
from bift_ros.peer.effects import Discard, Put, Unpin
from bift_ros.peer.events import SnapshotAnswered
from bift_ros.pofl.files import MAX_MODEL_BYTES
from bift_ros.storage.cid import cid_of

FAR = 2 * KEPT_MODELS
"""Blocks that a vehicle is behind another when it asks for a snapshot: one commit block a model."""


def offer_of(chain: Blockchain) -> tuple[bytes, str]:
    """Answer a `RequestSnapshot`: the newest one's certificate and file; nothing where none is."""
    newest = chain.store.snapshots()[:1]
    return (newest[0].certificate, cid_of(newest[0].state)) if newest else (b"", "")


@dataclass
class _Wanted:
    peer: str
    cid: str
    quorum: Quorum
    certificate: bytes
    since: int


class Snapshots:
    """Fetches one snapshot at a time, and gives this vehicle's to others."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._wanted: _Wanted | None = None
        self._served: dict[str, None] = {}
        """The files of this vehicle's snapshots, the newest last."""
        self._root = context.chain.genesis.hash

    @property
    def pending(self) -> bool:
        """Whether one is on its way."""
        wanted, context = self._wanted, self._context
        return wanted is not None and context.now - wanted.since <= context.config.file_wait_ms

    def serve(self) -> None:
        """Have the newest snapshots as files; called often."""
        context = self._context
        if context.chain.root.hash == self._root:
            return
        self._root = context.chain.root.hash
        for snapshot in reversed(context.chain.store.snapshots()):
            cid = cid_of(snapshot.state)
            if cid not in self._served:
                self._served[cid] = None
                context.emit(Put(cid, snapshot.state, pinned=True))
        old = tuple(self._served)[:-MAX_SNAPSHOTS]
        if old:
            context.emit(Unpin(old))
        for cid in old:
            del self._served[cid]

    def answered(self, event: SnapshotAnswered) -> bool:
        """Ask for the file of a snapshot that enough members vouch for; whether it is one."""
        context = self._context
        if not event.certificate or self.pending:
            return False
        try:
            check_cid("cid", event.cid)
            quorum = Quorum.from_bytes(event.certificate)
            if quorum.stage is not Stage.PRECOMMIT:
                raise BadQuorum("its certificate is of prevotes")
            vouch_for(quorum, context.genesis, self._trusted())
        except ChainError as error:
            name = f"{event.peer} {event.cid}"
            context.refuse("snapshot", name, event.peer, f"a snapshot: {error}")
            return False
        if quorum.statement.height <= context.chain.tip.height:
            return False
        fetch = context.fetches.want(
            event.cid, context.gateways([event.peer]), MAX_MODEL_BYTES, context.now
        )
        if fetch is None:
            return False
        self._wanted = _Wanted(event.peer, event.cid, quorum, event.certificate, context.now)
        context.holdings.fetched(event.cid, event.peer, fetch.largest)
        context.emit(fetch)
        return True

    def arrived(self, cid: str, data: bytes) -> Snapshot | None:
        """Give the snapshot whose file this is, where it is what the members have voted for."""
        wanted, context = self._wanted, self._context
        if wanted is None or wanted.cid != cid:
            return None
        self._wanted = None
        context.fetches.arrived(cid)
        context.holdings.arrived(cid, len(data))
        said = wanted.quorum.statement
        snapshot = Snapshot(said.hash, said.height, data, wanted.certificate)
        try:
            state = parse_state(data, context.genesis)
            electorates = [self._trusted(), state.members]
            check_certificate(snapshot, state, context.genesis, electorates)
        except ChainError as error:
            context.refuse("snapshot", cid, wanted.peer, f"the snapshot {cid}: {error}")
            context.emit(Discard((cid,)))
            return None
        return snapshot if said.height > context.chain.tip.height else None

    def failed(self, cid: str) -> None:
        """The file can't be had."""
        if self._wanted is not None and self._wanted.cid == cid:
            self._wanted = None

    def _trusted(self) -> Members:
        """Who was a member after the last final block."""
        chain = self._context.chain
        return chain.state_at(chain.finality.final.hash).members
