"""Gets the blocks of files from several vehicles at once.

The calling thread decides what to ask of whom; threads of a pool do the asking. The file's chunks
are shared out in stretches, longer ones to faster sources. A source that cannot be reached, lies,
breaks the protocol or lets a block wait too long is asked no more during that fetch; one that lacks
a block is asked for others, after a while. When nothing is left to share out, what is still under
way at one source for `HEDGE_DELAY` is asked of another one too, and the first to give it wins: so
a slow source delays a file by no more than that. Each such request has the next wait longer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from queue import Empty, SimpleQueue

from bift_ros.storage import sources as limits
from bift_ros.storage.cidv1 import Cid
from bift_ros.storage.interface import NotFound, StorageError
from bift_ros.storage.sources import FaultError, Piece, Request, Source, sources_of
from bift_ros.storage.swarm import Swarm
from bift_ros.storage.traffic import ByteCount

MAX_IN_FLIGHT = 8
"""Requests of one file at a time."""
MAX_CONNECTIONS = 256
"""Requests of one fetcher at a time, all files together."""
MAX_STRETCH = 32
"""Blocks in one request."""
SHORT_STRETCH = 16
"""Blocks that are not worth two requests."""
GROW_BELOW, SHRINK_ABOVE = 0.1, 0.4
"""Seconds of a request below which the next stretch is longer, and above which it is shorter."""
HEDGE_DELAY = 0.5
"""Seconds after which a block is asked of a second provider; see `_hedge_delay`."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds for which a source that lacked a block is left alone; doubled each time in a row."""

TELL_EVERY = 0.02
"""Seconds between two reports of a request's thread: waking the calling one costs time."""

_LOOK_AHEAD = 64
"""Blocks tried before a source is thought to have nothing to give now."""

Deliver = Callable[[Piece, memoryview], None]


@dataclass(frozen=True)
class FetchReport:
    """Who gave what during one fetch."""

    served: dict[str, int]
    """Blocks that each provider gave."""
    skipped: dict[str, str]
    """Why each of the other providers, as far as they were tried, gave fewer than asked."""


class Fetcher:
    """Fetches blocks of files, for any number of threads at once."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MAX_CONNECTIONS, thread_name_prefix="fetcher")
        self._mutex = threading.Lock()
        self._fetches: set[Fetch] = set()
        self._closed = False
        self.fetched = ByteCount()
        """Of all files."""

    @contextmanager
    def fetch(
        self, root: Cid, providers: Sequence[str], timeout: float, *, stalled: bool = False
    ) -> Iterator[Fetch]:
        """Begin to fetch a file: within `timeout` seconds, or (`stalled`) never so long without a
        block.
        """
        fetch = Fetch(root, providers, self._pool, self.fetched, timeout, stalled)
        with self._mutex:
            if self._closed:
                raise StorageError("the store is closed")
            self._fetches.add(fetch)
        try:
            yield fetch
        finally:
            with self._mutex:
                self._fetches.discard(fetch)
            fetch.end()

    def close(self) -> None:
        """Abandon what is being fetched; harmless when repeated."""
        with self._mutex:
            self._closed = True
            for fetch in self._fetches:
                fetch.abandon()
        self._pool.shutdown(wait=False)


@dataclass(eq=False)
class _Job:
    """One request under way."""

    request: Request
    left: dict[Piece, None]
    """What it has yet to bring, in the order of asking: a set that keeps one."""
    begun: float
    heard: float
    """When it last gave a block."""
    hedge: bool
    """Whether another one is under way for the same."""
    came: deque[Piece] = field(default_factory=deque)
    """What its thread has delivered since it last said so."""


@dataclass(frozen=True)
class _Event:
    """What a thread tells the calling one: blocks came, or a request ended."""

    job: _Job | None
    ended: bool = True
    error: BaseException | None = None
    piece: Piece | None = None


class Fetch:
    """One file on its way; all its blocks are asked for in the thread that calls `get`."""

    def __init__(
        self,
        root: Cid,
        providers: Sequence[str],
        pool: ThreadPoolExecutor,
        fetched: ByteCount,
        timeout: float,
        stalled: bool,
    ) -> None:
        self._root = root
        self._sources, self._refused = sources_of(providers)
        self._swarm = Swarm(self._sources)
        self._pool = pool
        self._fetched = fetched
        self._timeout = timeout
        self._stalled = stalled
        self._until = time.monotonic() + timeout
        self._looked_at = 0.0  # when it was last seen what can be asked of whom
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._jobs: set[_Job] = set()
        self._pending: deque[Piece] = deque()
        self._left: set[Piece] = set()
        self._refusals: dict[Piece, dict[Source, float]] = {}

    def report(self) -> FetchReport:
        """Who gave what so far."""
        faults = {s.url: s.fault for s in self._sources if s.fault is not None}
        served = {s.url: s.served for s in self._sources if s.served}
        return FetchReport(served, self._refused | faults)

    def get(self, pieces: Sequence[Piece], deliver: Deliver) -> None:
        """Get every one of the pieces; `deliver` takes them, in other threads and any order.

        Raises `NotFound`, which names each provider and what was wrong with it, and whatever
        `deliver` raises.
        """
        if not pieces:
            return
        self._pending = self._swarm.order(pieces)
        self._left = set(pieces)
        self._refusals = {piece: {} for piece in pieces}
        try:
            while self._left:
                self._share_out(deliver)
                self._take_event()
                self._check_times()
        except NotFound as error:
            self._stop()
            reasons = "; ".join(f"{u}: {why}" for u, why in self.report().skipped.items())
            raise NotFound(f"{error} ({reasons or 'no provider is known'})") from error
        finally:
            self._stop()

    def abandon(self) -> None:
        """Make `get` raise, from any thread."""
        self._events.put(_Event(None, error=StorageError("the store was closed while fetching")))

    def came_otherwise(self, piece: Piece) -> None:
        """Want a piece no more, from any thread."""
        self._events.put(_Event(None, piece=piece))

    def end(self) -> None:
        """Close the connections."""
        for source in self._sources:
            source.close()

    # -- what to ask of whom

    def _share_out(self, deliver: Deliver) -> None:
        self._looked_at = time.monotonic()
        while len(self._jobs) < MAX_IN_FLIGHT:
            chosen, hedge = self._choose_pending(), False
            if chosen is None:
                chosen, hedge = self._choose_hedge(), True
            if chosen is None:
                if not self._jobs:
                    self._check_hope()
                return
            source, pieces = chosen
            now = self._looked_at
            job = _Job(Request(self._root, source, pieces), dict.fromkeys(pieces), now, now, hedge)
            for piece in pieces:
                self._refusals[piece][source] = inf
            source.in_flight += 1
            self._jobs.add(job)
            self._pool.submit(self._run, job, deliver)

    def _choose_pending(self) -> tuple[Source, list[Piece]] | None:
        while self._pending and self._pending[0] not in self._left:  # came otherwise
            self._pending.popleft()
        ahead = (piece for piece in islice(self._pending, _LOOK_AHEAD) if piece in self._left)
        chosen = self._swarm.choose(ahead, self._refusals, self._looked_at)
        if chosen is None:
            return None
        piece, source = chosen
        at = self._pending.index(piece)
        most = self._longest(source)
        pieces = [piece]
        while at + len(pieces) < len(self._pending) and len(pieces) < most:
            after = self._pending[at + len(pieces)]
            if after not in self._left or source in self._refusals[after]:
                break
            if not _adjoin(pieces[-1], after):
                break
            pieces.append(after)
        for _ in pieces:
            del self._pending[at]
        return source, pieces

    def _longest(self, source: Source) -> int:
        """Blocks to ask of a source at once; fewer towards the end, lest all wait for one."""
        if not source.ranges:
            return 1
        return min(source.stretch, max(SHORT_STRETCH, len(self._pending) // 2))

    def _choose_hedge(self) -> tuple[Source, list[Piece]] | None:
        late = [job for job in self._jobs if job.heard <= self._looked_at - self._hedge_delay]
        late.sort(key=lambda job: job.heard)
        ahead = islice((piece for job in late for piece in job.left), _LOOK_AHEAD)
        chosen = self._swarm.choose(ahead, self._refusals, self._looked_at)
        return None if chosen is None else (chosen[1], [chosen[0]])

    @property
    def _hedge_delay(self) -> float:
        """Doubled by each hedge: where all are slow, more requests make them slower still."""
        return HEDGE_DELAY * 2.0 ** sum(job.hedge for job in self._jobs)

    def _check_hope(self) -> None:
        """Raise `NotFound` when a piece was asked in vain of everyone, and nobody expects it."""
        if any(source.has is not None and not source.gone for source in self._sources):
            return
        for piece in self._left.intersection(self._pending):
            refused = self._refusals[piece]
            if all(source.gone or source in refused for source in self._sources):
                raise NotFound(f"no provider gave block {piece.cid} of {self._root}")

    # -- what comes of it

    def _run(self, job: _Job, deliver: Deliver) -> None:
        """In a thread of the pool."""

        told = time.monotonic()

        def take(piece: Piece, data: memoryview) -> None:
            nonlocal told
            self._fetched.add(len(data))
            if piece in self._left:  # else another source was faster
                deliver(piece, data)
            job.came.append(piece)
            if time.monotonic() >= told + TELL_EVERY:
                told = time.monotonic()
                self._events.put(_Event(job, ended=False))

        try:
            job.request.run(take)
        except BaseException as error:
            self._events.put(_Event(job, error=error))
        else:
            self._events.put(_Event(job))

    def _take_event(self) -> None:
        """Wait for one event, not for long, and take those that are there too."""
        try:
            event = self._events.get(timeout=self._patience())
            while True:
                self._handle(event)
                event = self._events.get_nowait()
        except Empty:
            pass

    def _patience(self) -> float:
        """Seconds after which there may be something to do without an event."""
        # What came due since it was last looked at is to be done at once.
        looked = self._looked_at
        moments = [self._until]
        moments += [job.heard + self._hedge_delay for job in self._jobs]
        moments += [source.ready_at for source in self._sources]
        moments += [self._swarm.next_try]
        moments = [moment for moment in moments if moment > looked]
        moments += [job.heard + limits.REQUEST_TIMEOUT for job in self._jobs if job.left]
        return max(0.0, min(moments, default=0.0) - time.monotonic())

    def _handle(self, event: _Event) -> None:
        job = event.job
        if event.piece is not None:
            self._done_with(event.piece)
            return
        if job is None:
            assert event.error is not None
            raise event.error
        source = job.request.source
        while job.came:
            self._came(job, job.came.popleft())
        if event.ended and job in self._jobs:
            self._jobs.remove(job)
            source.in_flight -= 1
            if isinstance(event.error, FaultError):
                self._failed(job, event.error)
            elif event.error is not None:
                raise event.error
            else:
                self._served(source, time.monotonic() - job.begun)

    def _came(self, job: _Job, piece: Piece) -> None:
        job.heard = time.monotonic()
        job.left.pop(piece, None)
        if piece not in self._left:
            return
        job.request.source.served += 1
        job.request.source.misses = 0
        if self._stalled:
            self._until = job.heard + self._timeout
        self._done_with(piece)

    def _done_with(self, piece: Piece) -> None:
        """Ask nobody for a piece any longer."""
        self._left.discard(piece)
        for job in list(self._jobs):
            if piece in job.left:
                del job.left[piece]
                if not job.left:
                    self._give_up(job, _slow(piece), lasting=False)

    def _served(self, source: Source, seconds: float) -> None:
        if seconds < GROW_BELOW:
            source.stretch = min(MAX_STRETCH, source.stretch * 2)
        elif seconds > SHRINK_ABOVE:
            source.stretch = max(1, source.stretch // 2)

    def _failed(self, job: _Job, fault: FaultError) -> None:
        source = job.request.source
        if not fault.lasting and source.has is not None:
            self._has_not_yet(job)
        else:
            self._refused_by(source, job, fault)
        self._again(job)

    def _has_not_yet(self, job: _Job) -> None:
        """A vehicle that is fetching the file has said what it has; more will come."""
        source = job.request.source
        for piece in job.left:
            self._refusals[piece].pop(source, None)
        if any(source.holds(piece) for piece in islice(self._pending, _LOOK_AHEAD)):
            source.misses = 0
        else:
            _pause(source)
        if not source.served:
            source.fault = "is still fetching the file itself"

    def _refused_by(self, source: Source, job: _Job, fault: FaultError) -> None:
        by_range, pieces = job.request.by_range, list(job.left)
        if source.ranges or fault.lasting or not by_range:
            source.fault = f"{fault} ({pieces[0].cid if pieces else self._root})"
        source.gone = source.gone or fault.lasting
        if fault.lasting:
            return
        if by_range:
            # It may have some of them, of another file: they are asked for one by one.
            source.by_cid, source.stretch = True, 1
            for piece in pieces:
                self._refusals[piece].pop(source, None)
        else:
            # It may be about to fetch the file itself.
            source.by_cid = not source.ranges or len(self._sources) == 1
            _pause(source)
            for piece in pieces:
                self._refusals[piece][source] = source.ready_at

    def _give_up(self, job: _Job, reason: str, lasting: bool) -> None:
        """End a request that is under way."""
        self._jobs.remove(job)
        source = job.request.source
        source.in_flight -= 1
        source.fault = reason if lasting else source.fault or reason
        source.gone = source.gone or lasting
        source.stretch = 1
        job.request.end(reason)
        self._again(job)

    def _again(self, job: _Job) -> None:
        """Share out again what a request did not bring."""
        elsewhere = {piece for other in self._jobs for piece in other.left}
        self._pending.extendleft(
            piece for piece in reversed(job.left) if piece in self._left and piece not in elsewhere
        )

    def _check_times(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs):
            if job.left and now >= job.heard + limits.REQUEST_TIMEOUT:
                piece = next(iter(job.left))
                reason = f"took over {limits.REQUEST_TIMEOUT:g} s for a block ({piece.cid})"
                self._give_up(job, reason, lasting=True)
        if now >= self._until and self._left:
            how = "no block came for" if self._stalled else "the file could not be fetched within"
            raise NotFound(f"{how} {self._timeout:g} s")

    def _stop(self) -> None:
        """End every request; when this returns nothing more is delivered."""
        for job in list(self._jobs):
            if job.left:
                self._give_up(job, _slow(next(iter(job.left))), lasting=False)
            else:
                job.request.end("done")
                job.request.source.in_flight -= 1
        self._jobs.clear()


def _pause(source: Source) -> None:
    """Leave it alone for a while, longer each time in a row."""
    source.ready_at = time.monotonic() + min(LONGEST_PAUSE, FIRST_PAUSE * 2**source.misses)
    source.misses += 1


def _slow(piece: Piece) -> str:
    return f"slow: did not give a block in time, or others were faster ({piece.cid})"


def _adjoin(first: Piece, second: Piece) -> bool:
    """Whether one piece of content directly follows the other."""
    if first.offset is None or first.size is None:
        return False
    return second.offset == first.offset + first.size
