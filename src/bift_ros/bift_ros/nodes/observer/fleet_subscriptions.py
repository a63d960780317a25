"""An observer's subscriptions to all that a fleet says, feeding a view of the fleet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from bift_msgs import msg
from rclpy.node import Node
from rclpy.qos import QoSProfile

from bift_ros.consensus.blocks import Block
from bift_ros.consensus.exceptions import ChainError, FieldError
from bift_ros.history.blocks import summary_of
from bift_ros.monitoring.view import FleetView
from bift_ros.nodes import convert, fleet_topics, qos
from bift_ros.nodes.observer import observations
from bift_ros.nodes.observer.chain_fetch import ChainFetch


class FleetSubscriptions:
    """Vehicles are found by their tips, which are latched; anybody's nonsense is passed over.

    Status and progress come only from vehicles whose own bus this process shares. It only reads,
    and asks one vehicle at a time for older blocks. Writers keep the last few messages and wait for
    nobody, so an observer that stalls holds up none of them.
    """

    def __init__(
        self,
        own: Node,
        fleet: Node,
        view: FleetView,
        lock: threading.Condition,
        on_change: Callable[[], None] | None = None,
        tap: Callable[[str, Any], None] | None = None,
    ) -> None:
        """`own` is on the car's bus and `fleet` on the fleet's, which two threads may spin.

        All changes of `view` are made with `lock` held and notify it; then comes `on_change`. `tap`
        gets every message as it comes, nonsense too, and the older blocks that were fetched; with
        `lock` held.
        """
        self._own, self._view, self._lock, self._on_change = own, view, lock, on_change
        self._tap = tap or (lambda topic, message: None)
        self._heard: set[str] = set()
        self._subscribe(fleet, fleet_topics.TIPS, self._on_tip)
        self._subscribe(fleet, fleet_topics.BLOCKS, self._on_block)
        # Of transactions only those matter that are said from now on.
        live = qos.LIVE_READER
        self._subscribe(fleet, fleet_topics.TRANSACTIONS, self._on_transaction, live)
        self._fetch = ChainFetch(fleet, view, lock, self._fetched)

    def _subscribe(
        self,
        node: Node,
        topic: str,
        take: Callable[..., None],
        profile: QoSProfile | None = None,
    ) -> None:
        kind = fleet_topics.kind_of(topic)
        assert kind is not None, topic

        def heard(message: Any) -> None:
            with self._lock:
                self._tap(topic, message)
            with suppress(ChainError, FieldError):
                take(message)

        node.create_subscription(kind.type, topic, heard, profile or kind.profile)

    def _on_tip(self, message: msg.Tip) -> None:
        tip = observations.observed_tip(message)
        self._change(lambda: self._view.observe_tip(tip))
        if tip.name in self._view.vehicles and tip.name not in self._heard:
            self._heard.add(tip.name)
            for name, take in (
                (fleet_topics.STATUS, self._on_status),
                (fleet_topics.PROGRESS, self._on_progress),
            ):
                topic = fleet_topics.vehicle_topic(tip.name, name)
                self._subscribe(self._own, topic, partial(take, tip.name))

    def _on_status(self, name: str, message: msg.VehicleStatus) -> None:
        status = observations.observed_status(message, name)
        self._change(lambda: self._view.observe_status(status, time.monotonic()))

    def _on_progress(self, name: str, message: msg.TrainingProgress) -> None:
        observations.check_progress(message)
        self._change(
            lambda: self._view.observe_loss(name, message.model_id, message.iteration, message.loss)
        )

    def _on_transaction(self, message: msg.Transaction) -> None:
        transaction = convert.transaction_from_message(message)
        kind = transaction.payload.KIND
        self._change(
            lambda: self._view.observe_transaction(kind, transaction.sender, time.monotonic())
        )

    def _on_block(self, message: msg.Block) -> None:
        block = observations.observed_block(message)
        self._change(lambda: self._view.observe_block(block, time.monotonic()))

    def _fetched(self, blocks: Sequence[Block]) -> int:
        """Take in blocks that were mined earlier; how many were new."""
        new = 0
        for block in blocks:
            with self._lock:
                self._tap(fleet_topics.BLOCKS, convert.block_to_message(block))
                new += self._view.add_block(summary_of(block))
        if new:
            self._change(lambda: None)
        return new

    def _change(self, make: Callable[[], object]) -> None:
        with self._lock:
            make()
            self._lock.notify_all()
        if self._on_change is not None:
            self._on_change()
