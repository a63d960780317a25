"""A ROS node apart from all others of its process: its own context and thread, no endpoints."""

from __future__ import annotations

import sys
import threading
from contextlib import redirect_stderr

import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

_WAIT_SECONDS = 0.5


class BackgroundNode:
    """Set `node` up, then `start` the thread that spins it; `close` ends it.

    On the events executor: another one wakes up at a cost that grows with the number of
    subscriptions, which in a fleet is far more than that of the messages.
    """

    def __init__(self, name: str) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = Node(
            name, context=self._context, enable_rosout=False, start_parameter_services=False
        )
        # It hands sys.stderr to faulthandler, which needs a descriptor: a notebook's has none.
        with redirect_stderr(sys.__stderr__):
            self._executor = EventsExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._ended = False
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)

    def start(self) -> None:
        """Begin to spin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and leave the ROS graph."""
        # The context must outlast the thread: a wait that just begins in a dead one is an error.
        self._executor.create_task(self._end)
        self._thread.join()
        rclpy.try_shutdown(context=self._context)

    def _spin(self) -> None:
        while not self._ended:
            self._executor.spin_once(timeout_sec=_WAIT_SECONDS)
        self._executor.shutdown()
        self.node.destroy_node()

    def _end(self) -> None:
        self._ended = True
