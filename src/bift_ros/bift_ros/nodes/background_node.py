"""A node on one of the buses that is spun by a thread of its own."""

from __future__ import annotations

import threading

from bift_ros.nodes.bus_node import BusNode
from bift_ros.nodes.buses import Bus

_WAIT_SECONDS = 0.5


class BackgroundNode:
    """Set `node` up, then `start` the thread that spins it; `close` ends it."""

    def __init__(self, bus: Bus, name: str, namespace: str | None = None) -> None:
        """Raises BusError and OSError."""
        self._joined = BusNode(bus, name, namespace)
        self.node = self._joined.node
        self._ended = False
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)

    def start(self) -> None:
        """Begin to spin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and leave the ROS graph."""
        # The context must outlast the thread: a wait that just begins in a dead one is an error.
        if self._thread.is_alive():
            self._joined.executor.create_task(self._end)
            self._thread.join()
        self._joined.close()

    def _spin(self) -> None:
        while not self._ended:
            self._joined.executor.spin_once(timeout_sec=_WAIT_SECONDS)

    def _end(self) -> None:
        self._ended = True
