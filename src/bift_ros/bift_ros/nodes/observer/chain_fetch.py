"""Fetches for an observer the blocks that were mined before it came, through catch-up services."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from bift_msgs import srv
from rclpy.node import Node
from rclpy.task import Future

from bift_ros.admission.answers import BLOCKS_PER_ANSWER, read_anonymous_blocks, read_headers
from bift_ros.consensus.blocks import Block
from bift_ros.consensus.exceptions import InvalidBlock, MalformedBlock
from bift_ros.monitoring.gaps import Gap, Gaps
from bift_ros.monitoring.view import FleetView
from bift_ros.nodes.convert import octets

_PERIOD_SECONDS = 0.25
"""Between two questions: vehicles have better things to do."""
_LOOK_SECONDS = 1.0
"""Between two looks whether anything is missing."""
_TIMEOUT_SECONDS = 5.0


class ChainFetch:
    """Asks one vehicle one question at a time: headers, then the blocks not known yet."""

    def __init__(
        self,
        node: Node,
        view: FleetView,
        lock: threading.Condition,
        learn: Callable[[Sequence[Block]], int],
    ) -> None:
        """`learn` takes blocks in and says how many were new. `lock` guards the view."""
        self._node, self._view, self._lock, self._learn = node, view, lock, learn
        self._gaps = Gaps(view)
        self._gap: Gap | None = None
        self._asked_at = 0.0
        self._asked: tuple[Any, Future] | None = None
        self._vehicle = ""
        self._clients: tuple[Any, Any] | None = None
        self._timer = node.create_timer(_PERIOD_SECONDS, self._step)

    def _step(self) -> None:
        now = time.monotonic()
        if self._gap is not None:
            if now - self._asked_at > _TIMEOUT_SECONDS:
                self._finish(0)
            elif self._asked is None:
                self._ask_headers(self._gap)
            return
        with self._lock:
            self._gap = self._gaps.next(now)
        period = _LOOK_SECONDS if self._gap is None else _PERIOD_SECONDS
        if self._timer.timer_period_ns != round(period * 1e9):
            self._timer.timer_period_ns = round(period * 1e9)
        if self._gap is not None:
            self._asked_at = now
            self._turn_to(self._gap.vehicle)
            self._ask_headers(self._gap)

    def _turn_to(self, vehicle: str) -> None:
        if vehicle == self._vehicle:
            return
        for client in self._clients or ():
            self._node.destroy_client(client)
        self._vehicle = vehicle
        self._clients = (
            self._node.create_client(srv.GetHeaders, f"/{vehicle}/get_headers"),
            self._node.create_client(srv.GetBlocks, f"/{vehicle}/get_blocks"),
        )

    def _ask_headers(self, gap: Gap) -> None:
        assert self._clients is not None
        if all(client.service_is_ready() for client in self._clients):  # else at the next step
            request = srv.GetHeaders.Request(from_height=gap.first, limit=gap.count)
            self._ask(self._clients[0], request, self._headers_came)

    def _headers_came(self, response: srv.GetHeaders.Response) -> None:
        assert self._clients is not None
        assert self._gap is not None
        try:
            headers = [signed.header for signed in read_headers(bytes(response.headers))]
        except MalformedBlock:
            headers = []
        with self._lock:
            known = self._view.chain.blocks
            wanted = [h.hash for h in headers[: self._gap.count] if h.hash.hex() not in known]
        if not wanted:
            self._finish(0)
            return
        asked = wanted[:BLOCKS_PER_ANSWER]
        request = srv.GetBlocks.Request(hashes=octets(b"".join(asked)))
        self._ask(self._clients[1], request, self._blocks_came)

    def _blocks_came(self, response: srv.GetBlocks.Response) -> None:
        blocks: list[Block] = []
        with suppress(InvalidBlock):
            blocks.extend(read_anonymous_blocks(bytes(response.blocks)))
        self._finish(self._learn(blocks))

    def _ask(self, client: Any, request: Any, answered: Callable[[Any], None]) -> None:
        future = client.call_async(request)
        self._asked = (client, future)

        def done(answer: Future) -> None:
            if self._asked == (client, answer) and answer.result() is not None:
                answered(answer.result())

        future.add_done_callback(done)

    def _finish(self, new: int) -> None:
        assert self._gap is not None
        if self._asked is not None:
            client, future = self._asked
            client.remove_pending_request(future)
        with self._lock:
            self._gaps.answered(self._gap, new, time.monotonic())
        self._gap = self._asked = None
