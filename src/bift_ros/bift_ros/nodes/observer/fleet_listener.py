"""Everything that a fleet says, as one picture, without ROS types: for dashboards and displays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bift_ros.monitoring.view import FleetView
from bift_ros.nodes.background_node import BackgroundNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.observer.fleet_subscriptions import FleetSubscriptions


class FleetListener:
    """Hears a fleet on ROS contexts and threads of its own; reads are safe from any thread.

    `nodes.monitor.FleetMonitor` is the cheaper one, for those who need statuses only.
    """

    def __init__(self, on_change: Callable[[], None] | None = None) -> None:
        """`on_change` is called from the listener's threads after a change, the view unlocked."""
        self._view, self._changed = FleetView(), threading.Condition()
        self._own = BackgroundNode(Bus.OWN, "bift_listener")
        self._fleet = BackgroundNode(Bus.FLEET, "bift_listener")
        FleetSubscriptions(self._own.node, self._fleet.node, self._view, self._changed, on_change)
        self._own.start()
        self._fleet.start()

    @contextmanager
    def reading(self) -> Iterator[FleetView]:
        """The fleet as it is known now. It does not change meanwhile: be brief."""
        with self._changed:
            yield self._view

    def wait(self, condition: Callable[[FleetView], bool], timeout: float) -> bool:
        """Wait until the fleet fulfils a condition; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self._view), timeout)

    def close(self) -> None:
        """Stop listening."""
        self._fleet.close()
        self._own.close()
