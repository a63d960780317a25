"""Getting blocks that others have and this vehicle lacks: headers first, then the bodies.

Several vehicles are asked at a time. Their headers say cheaply, each with a member's signature and
work, which blocks there are; a body is asked only of those who showed its header. So whatever a
liar shows costs requests to the liar alone, and it is asked ever more seldom.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bift_ros.admission.answers import BLOCKS_PER_ANSWER, HEADERS_PER_ANSWER
from bift_ros.chain.tips import SignedTip
from bift_ros.consensus.authorship import check_authorship
from bift_ros.consensus.blocks import SignedHeader
from bift_ros.consensus.exceptions import InvalidBlock, UnknownMiner
from bift_ros.peer.block_import import BlockImport
from bift_ros.peer.context import Context
from bift_ros.peer.effects import RequestBlocks, RequestHeaders, RequestSnapshot
from bift_ros.peer.events import SnapshotAnswered
from bift_ros.peer.snapshots import FAR, Snapshots
from bift_ros.peer.tip_tracker import TipTracker
from bift_ros.peer.voting import Voting

_SOURCES = 4
"""Vehicles asked at a time."""
_OVERLAP = 8
"""Headers below the tip that are asked for again, to bridge a short fork; doubled in vain."""
_MAXIMUM_WANTED = 1024
_MAXIMUM_UNDER_WAY = 96
"""Blocks asked for at a time: fewer than are kept on import."""
_MAXIMUM_PAUSES = 32
"""A vehicle that did not help is asked again after 2, 4, … up to this many pauses."""


@dataclass
class _Source:
    """One vehicle that may have what this one lacks."""

    since: int
    asked: RequestHeaders | RequestBlocks | RequestSnapshot | None = None
    asked_at: int = 0
    next_height: int | None = None
    """Where its last headers went on."""
    vain: int = 0
    """How many answers in a row did not help."""
    until: int = 0
    """It is not asked again before."""
    height: int = 0
    """Where its chain ends, by its own word."""
    pruned: bool = False
    """Whether its blocks begin above those that are missing here."""
    offered: bool = False
    """Whether it was asked for a snapshot."""


@dataclass
class _Wanted:
    height: int
    sources: dict[str, None] = field(default_factory=dict)
    """Who showed the header and has not failed to give the body."""
    asked: str = ""
    """Who is being asked for the body."""


class CatchUp:
    """Asks a few vehicles at a time, those that helped before others."""

    def __init__(
        self,
        context: Context,
        tips: TipTracker,
        block_import: BlockImport,
        snapshots: Snapshots,
        voting: Voting,
    ) -> None:
        self._context, self._tips, self._import = context, tips, block_import
        self._snapshots, self._voting = snapshots, voting
        self._sources: dict[str, _Source] = {}
        self._wanted: dict[bytes, _Wanted] = {}

    @property
    def wanted(self) -> int:
        """How many bodies are wanted."""
        return len(self._wanted)

    def headers_answered(self, peer: str, headers: Sequence[SignedHeader]) -> None:
        """Note which blocks a vehicle has, as far as its headers hold together."""
        source = self._sources.get(peer)
        if source is None or not isinstance(source.asked, RequestHeaders):
            return
        first = source.asked.from_height
        source.asked = None
        source.pruned = bool(headers) and headers[0].header.height > first
        new = self._take(peer, headers[:HEADERS_PER_ANSWER])
        full = len(headers) >= HEADERS_PER_ANSWER
        source.next_height = headers[-1].header.height + 1 if full and new is not None else None
        if not new and source.next_height is None:
            self._in_vain(source)  # headers alone are no help yet: anybody can make them
        self.advance()

    def snapshot_answered(self, event: SnapshotAnswered) -> None:
        """Have the file of a snapshot fetched, or go on with headers."""
        source = self._sources.get(event.peer)
        if source is None or not isinstance(source.asked, RequestSnapshot):
            return
        source.asked = None
        source.offered = not self._snapshots.pending  # else it is asked again, if need be
        if not self._snapshots.answered(event) and source.pruned:
            self._in_vain(source)
        self.advance()

    def blocks_answered(self, peer: str) -> None:
        """Note what a vehicle failed to give of what it was asked for."""
        source = self._sources.get(peer)
        if source is None or not isinstance(source.asked, RequestBlocks):
            return
        hashes = source.asked.hashes
        source.asked = None
        if any(self._settled(name) for name in hashes):
            source.vain = 0
        else:
            self._in_vain(source)
        for name in hashes:
            wanted = self._wanted.get(name)
            if wanted is not None:
                wanted.asked = ""
                wanted.sources.pop(peer, None)
        self.advance()

    def advance(self) -> None:
        """Ask for what is missing, of whoever may have it and is not being asked."""
        context = self._context
        if self._wanted:
            self._forget_settled()
        for peer, source in list(self._sources.items()):
            if source.asked and context.now - source.asked_at >= context.config.request_timeout_ms:
                if isinstance(source.asked, RequestHeaders):
                    self.headers_answered(peer, ())
                elif isinstance(source.asked, RequestBlocks):
                    self.blocks_answered(peer)
                else:
                    self.snapshot_answered(SnapshotAnswered(peer, b"", ""))
        if self._snapshots.pending:
            return
        candidates = self._candidates()
        busy = sum(source.asked is not None for source in self._sources.values())
        for peer in candidates:
            if busy >= _SOURCES:
                return
            source = self._sources[peer]
            if source.asked is None and context.now >= source.until:
                source.asked = self._question(peer, source)
                source.asked_at = context.now
                if source.asked is not None:
                    busy += 1
                    context.emit(source.asked)

    def _take(self, peer: str, headers: Sequence[SignedHeader]) -> int | None:
        """Want the bodies of headers that are new; how many were, or None where one is wrong."""
        previous, new = None, 0
        for signed in headers:
            header, name = signed.header, signed.header.hash
            if previous is None:
                if not self._known(header.previous_hash):
                    return None
            elif (header.previous_hash, header.height) != (previous.hash, previous.height + 1):
                return None
            previous = header
            if self._import.rejects(name):
                return None
            if self._import.has(name):
                continue
            if name not in self._wanted:
                if len(self._wanted) >= _MAXIMUM_WANTED:
                    break
                try:
                    context = self._context
                    context.chain.finality.check_place(header)
                    known = context.chain.known_members
                    check_authorship(header, signed.signature, context.genesis, known)
                except UnknownMiner:
                    break  # maybe one who joined: the blocks below will tell
                except InvalidBlock as error:
                    self._context.refuse("header", name.hex(), peer, str(error))
                    return None
                self._wanted[name] = _Wanted(header.height)
            self._wanted[name].sources[peer] = None
            new += 1
        return new

    def _question(
        self, peer: str, source: _Source
    ) -> RequestHeaders | RequestBlocks | RequestSnapshot | None:
        waits = source.offered or self._snapshots.pending
        if not waits and self._is_far_behind(source):
            source.offered = True
            return RequestSnapshot(peer)
        room = _MAXIMUM_UNDER_WAY - sum(1 for wanted in self._wanted.values() if wanted.asked)
        shown = [name for name, wanted in self._wanted.items() if peer in wanted.sources]
        free = [name for name in shown if not self._wanted[name].asked]
        if free:
            free.sort(key=lambda name: self._wanted[name].height)
            chosen = tuple(free[: max(0, min(room, BLOCKS_PER_ANSWER))])
            for name in chosen:
                self._wanted[name].asked = peer
            return RequestBlocks(peer, chosen) if chosen else None
        if shown:
            return None  # they are being asked of others
        if source.next_height is not None:
            return self._headers(peer, source.next_height)
        overlap = _OVERLAP * 2 ** min(source.vain, 20)
        chain = self._context.chain
        first = max(chain.root.height + 1, chain.tip.height + 1 - overlap)
        return self._headers(peer, first)

    def _headers(self, peer: str, from_height: int) -> RequestHeaders:
        finality = self._context.chain.finality
        final, justified = finality.final.height, finality.justified.round
        return RequestHeaders(peer, from_height, final, justified)

    def _is_far_behind(self, source: _Source) -> bool:
        """Whether the blocks that this vehicle lacks, or their files, are likely to be gone."""
        context = self._context
        far = source.height > context.chain.tip.height + FAR and not context.config.keep_all
        return far or source.pruned

    def _in_vain(self, source: _Source) -> None:
        source.vain += 1
        pause = self._context.config.fetch_retry_ms * min(2**source.vain, _MAXIMUM_PAUSES)
        source.until = self._context.now + pause

    def _candidates(self) -> list[str]:
        """Who may have what we lack, the most promising first; the others are forgotten.

        A block usually arrives just after its miner's tip: nobody is asked before a pause.
        """
        context = self._context
        weight = context.chain.tip.learning_weight
        unknown = {name for name in self._tips.counts if not self._settled(name)}
        ahead: dict[str, SignedTip] = {}
        for tip in self._tips.others() if unknown else ():
            if tip.learning_weight >= weight and tip.hash in unknown:
                ahead[tip.sender] = tip
        peers = dict.fromkeys(sorted(ahead, key=lambda peer: -ahead[peer].learning_weight))
        peers.update(dict.fromkeys(self._voting.ahead()))
        peers.update(dict.fromkeys(m for m in self._import.orphan_miners() if self._is_other(m)))
        peers.update(dict.fromkeys(p for w in self._wanted.values() for p in w.sources))
        kept = {p: s for p, s in self._sources.items() if p in peers or s.asked is not None}
        for peer in peers:
            if peer not in kept:
                kept[peer] = _Source(since=context.now)
            if peer in ahead:
                kept[peer].height = ahead[peer].height
        self._sources = kept
        pause = context.config.fetch_retry_ms
        ready = [peer for peer in peers if context.now - kept[peer].since >= pause]
        return sorted(ready, key=lambda peer: kept[peer].vain)

    def _is_other(self, address: str) -> bool:
        context = self._context
        return address != context.key.address and address in context.chain.known_members

    def _forget_settled(self) -> None:
        done: Iterable[bytes] = [
            name
            for name, wanted in self._wanted.items()
            if self._settled(name) or (not wanted.sources and not wanted.asked)
        ]
        for name in done:
            del self._wanted[name]

    def _settled(self, block_hash: bytes) -> bool:
        """Whether the block is here, or will never be."""
        return self._import.has(block_hash) or self._import.rejects(block_hash)

    def _known(self, block_hash: bytes) -> bool:
        return self._import.has(block_hash) or block_hash in self._wanted
