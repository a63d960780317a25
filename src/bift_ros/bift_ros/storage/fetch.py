"""Gets the blocks of one file from several vehicles at once.

The calling thread decides what to ask of whom; threads of a pool do the asking. The file's chunks
are shared out in batches, larger ones to faster providers. A provider that cannot be reached, lies,
breaks the protocol or lets a block wait too long is asked no more during that fetch; one that lacks
a block is asked for others, after a while. When nothing is left to share out, what is still under
way at one provider for `HEDGE_DELAY` is asked of another one too (a hedged request: Dean and
Barroso, "The Tail at Scale", 2013), and the first to give it wins: so a slow provider delays a file
by no more than that. Each hedge has the next wait longer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue

from bift_ros.storage import block_request
from bift_ros.storage.block_request import Connect, FaultError, Request
from bift_ros.storage.errors import NotFound, StorageError
from bift_ros.storage.interface import FileRequest
from bift_ros.storage.piece_picker import PiecePicker
from bift_ros.storage.piece_queue import PieceQueue
from bift_ros.storage.provider import Piece, providers_of
from bift_ros.storage.traffic import ByteCount

MAX_IN_FLIGHT = 8
"""Requests of one file at a time."""
HEDGE_DELAY = 0.5
"""Seconds after which a block is asked of a second provider; see `_hedge_delay`."""
REPORT_EVERY = 0.02
"""Seconds between two reports of a request's thread: waking the calling one costs time."""

Deliver = Callable[[Piece, memoryview], None]


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
    delivered: deque[Piece] = field(default_factory=deque)
    """What its thread has delivered since it last said so."""


class Fetch:
    """One file on its way; all its blocks are asked for in the thread that calls `get`."""

    def __init__(
        self, request: FileRequest, pool: ThreadPoolExecutor, fetched: ByteCount, connect: Connect
    ) -> None:
        """Ask nobody yet, but count the time; `fetched` counts bytes."""
        self._request = request
        self.providers, self._refused = providers_of(request.providers)
        self._picker = PiecePicker(self.providers)
        self._pool = pool
        self._fetched = fetched
        self._connect = connect
        self._until = time.monotonic() + request.timeout
        self._looked_at = 0.0  # when it was last seen what can be asked of whom
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()  # for the calling thread
        self._jobs: set[_Job] = set()
        self._queue = PieceQueue(self._picker, ())

    @property
    def skipped(self) -> dict[str, str]:
        """Why each of the providers, as far as they were tried, gave less than was asked."""
        return self._refused | {p.url: p.fault for p in self.providers if p.fault is not None}

    def get(self, pieces: Sequence[Piece], deliver: Deliver) -> None:
        """Get every one of the pieces; `deliver` takes them, in other threads and any order.

        Raises `NotFound`, which names each provider and what was wrong with it, and whatever
        `deliver` raises.
        """
        if not pieces:
            return
        self._queue = PieceQueue(self._picker, pieces)
        try:
            while self._queue.wanted:
                self._share_out(deliver)
                self._take_events()
                self._check_times()
        except NotFound as error:
            self._stop()  # which says of the providers still asked that they are slow
            reasons = "; ".join(f"{url}: {why}" for url, why in self.skipped.items())
            raise NotFound(f"{error} ({reasons or 'no provider is known'})") from error
        finally:
            self._stop()

    def abandon(self) -> None:
        """Make `get` raise, from any thread."""

        def stop() -> None:
            raise StorageError("the store was closed while fetching")

        self._events.put(stop)

    def discard(self, piece: Piece) -> None:
        """Want a piece no more, from any thread."""
        self._events.put(partial(self._done_with, piece))

    def end(self) -> None:
        """Close the connections."""
        for provider in self.providers:
            provider.close()

    def _share_out(self, deliver: Deliver) -> None:
        now = self._looked_at = time.monotonic()
        while len(self._jobs) < MAX_IN_FLIGHT:
            chosen, hedge = self._queue.next_batch(now), False
            if chosen is None:
                late = [job for job in self._jobs if job.heard <= now - self._hedge_delay]
                late.sort(key=lambda job: job.heard)
                chosen, hedge = self._queue.hedge([p for job in late for p in job.left], now), True
            if chosen is None:
                if not self._jobs and (piece := self._queue.hopeless()):
                    raise NotFound(f"no provider gave block {piece.cid} of {self._request.root}")
                return
            provider, pieces = chosen
            request = Request(self._request.root, provider, pieces, self._connect)
            job = _Job(request, dict.fromkeys(pieces), now, now, hedge)
            self._queue.refuse(provider, pieces)
            provider.in_flight += 1
            self._jobs.add(job)
            self._pool.submit(self._run, job, self._queue, deliver)

    @property
    def _hedge_delay(self) -> float:
        """Doubled by each hedge: where all are slow, more requests make them slower still."""
        return HEDGE_DELAY * 2.0 ** sum(job.hedge for job in self._jobs)

    def _run(self, job: _Job, queue: PieceQueue, deliver: Deliver) -> None:
        """In a thread of the pool."""
        reported = time.monotonic()

        def take(piece: Piece, data: memoryview) -> None:
            nonlocal reported
            self._fetched.add(len(data))
            if piece in queue.wanted:  # else another provider was faster
                deliver(piece, data)
            job.delivered.append(piece)
            if time.monotonic() >= reported + REPORT_EVERY:
                reported = time.monotonic()
                self._events.put(partial(self._take_delivered, job))

        error: BaseException | None = None
        try:
            job.request.run(take)
        except BaseException as raised:
            error = raised
        self._events.put(partial(self._ended, job, error))

    def _take_events(self) -> None:
        """Wait for one event, not for long, and take those that are there too."""
        try:
            event = self._events.get(timeout=self._patience())
            while True:
                event()
                event = self._events.get_nowait()
        except Empty:
            pass

    def _patience(self) -> float:
        """Seconds after which there may be something to do without an event."""
        # What came due since it was last looked at is to be done at once.
        looked = self._looked_at
        moments = [self._until]
        moments += [job.heard + self._hedge_delay for job in self._jobs]
        moments += [provider.ready_at for provider in self.providers]
        moments += [self._picker.next_try]
        moments = [moment for moment in moments if moment > looked]
        moments += [job.heard + block_request.REQUEST_TIMEOUT for job in self._jobs if job.left]
        return max(0.0, min(moments, default=0.0) - time.monotonic())

    def _take_delivered(self, job: _Job) -> None:
        while job.delivered:
            self._received(job, job.delivered.popleft())

    def _ended(self, job: _Job, error: BaseException | None) -> None:
        self._take_delivered(job)
        if job not in self._jobs:
            return
        self._jobs.remove(job)
        job.request.provider.in_flight -= 1
        if error is None:
            job.request.provider.adapt_batch(time.monotonic() - job.begun)
        elif isinstance(error, FaultError):
            self._failed(job, error)
        else:
            raise error

    def _received(self, job: _Job, piece: Piece) -> None:
        job.heard = time.monotonic()
        job.left.pop(piece, None)
        if piece not in self._queue.wanted:
            return
        job.request.provider.served += 1
        job.request.provider.misses = 0
        if self._request.stalled:
            self._until = job.heard + self._request.timeout
        self._done_with(piece)

    def _done_with(self, piece: Piece) -> None:
        """Ask nobody for a piece any longer."""
        self._queue.wanted.discard(piece)
        for job in list(self._jobs):
            if piece in job.left:
                del job.left[piece]
                if not job.left:
                    self._cancel(job, _slow(piece), lasting=False)

    def _failed(self, job: _Job, fault: FaultError) -> None:
        """Judge a provider by how its request ended, and share out what that did not bring."""
        provider, pieces = job.request.provider, list(job.left)
        still_fetching = not fault.lasting and provider.has is not None
        if still_fetching:
            if not provider.served:
                provider.fault = "is still fetching the file itself"
        elif provider.by_range or fault.lasting or not job.request.by_range:
            provider.fault = f"{fault} ({pieces[0].cid if pieces else self._request.root})"
        if fault.lasting:
            provider.gone = True
        elif still_fetching:
            # It has said what it has; more will come.
            self._queue.allow(provider, pieces)
            if self._queue.expects_of(provider):
                provider.misses = 0
            else:
                provider.back_off()
        elif job.request.by_range:
            # It may have some of them, of another file: they are asked for one by one.
            provider.by_cid, provider.batch = True, 1
            self._queue.allow(provider, pieces)
        else:
            # It may be about to fetch the file itself.
            provider.by_cid = not provider.by_range or len(self.providers) == 1
            provider.back_off()
            self._queue.refuse(provider, pieces, until=provider.ready_at)
        self._again(job)

    def _cancel(self, job: _Job, reason: str, lasting: bool) -> None:
        """End a request that is under way."""
        self._jobs.remove(job)
        provider = job.request.provider
        provider.in_flight -= 1
        provider.fault = reason if lasting else provider.fault or reason
        provider.gone = provider.gone or lasting
        provider.batch = 1
        job.request.end(reason)
        self._again(job)

    def _again(self, job: _Job) -> None:
        """Share out again what a request did not bring."""
        elsewhere = {piece for other in self._jobs for piece in other.left}
        self._queue.put_back([piece for piece in job.left if piece not in elsewhere])

    def _check_times(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs):
            if job.left and now >= job.heard + block_request.REQUEST_TIMEOUT:
                piece = next(iter(job.left))
                limit = f"{block_request.REQUEST_TIMEOUT:g} s"
                self._cancel(job, f"took over {limit} for a block ({piece.cid})", lasting=True)
        if now >= self._until and self._queue.wanted:
            how = (
                "no block came for"
                if self._request.stalled
                else "the file could not be fetched within"
            )
            raise NotFound(f"{how} {self._request.timeout:g} s")

    def _stop(self) -> None:
        """End every request; when this returns nothing more is delivered."""
        for job in list(self._jobs):
            if job.left:
                self._cancel(job, _slow(next(iter(job.left))), lasting=False)
            else:
                job.request.end("done")
                job.request.provider.in_flight -= 1
        self._jobs.clear()


def _slow(piece: Piece) -> str:
    return f"slow: did not give a block in time, or others were faster ({piece.cid})"
