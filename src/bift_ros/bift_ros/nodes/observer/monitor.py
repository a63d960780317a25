"""Listens to a fleet and says what it knows, without ROS types: for consoles and reports."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial

from bift_msgs import msg

from bift_ros.consensus.exceptions import FieldError
from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.monitoring.status import Statuses, VehicleStatus
from bift_ros.nodes import qos
from bift_ros.nodes.background_node import BackgroundNode
from bift_ros.nodes.observer.observations import observed_status


class FleetMonitor:
    """Subscribes to every vehicle's status and tips, on a thread and ROS context of its own.

    Vehicles are found by their tips, which are latched. Reads are safe from any thread.
    """

    def __init__(self, on_status: Callable[[VehicleStatus], None] | None = None) -> None:
        self._on_status = on_status
        self._changed = threading.Condition()
        self._vehicles: dict[str, VehicleStatus | None] = {}
        self._background = BackgroundNode("bift_monitor")
        self._node = self._background.node
        self._node.create_subscription(msg.Tip, "/bift/tips", self._on_tip, qos.FLEET_READER)
        self._background.start()

    def watch(self, name: str) -> None:
        """Subscribe to one vehicle's status, whether or not its tip has been heard."""
        with self._changed:
            if name in self._vehicles:
                return
            self._vehicles[name] = None
        self._node.create_subscription(
            msg.VehicleStatus, f"/{name}/status", partial(self._hear, name), qos.STATUS
        )

    @property
    def vehicles(self) -> dict[str, VehicleStatus | None]:
        """The newest status of every vehicle heard of, by name; None until it has spoken."""
        with self._changed:
            return dict(sorted(self._vehicles.items()))

    def wait(self, condition: Callable[[Statuses], bool], timeout: float) -> bool:
        """Wait until the vehicles' statuses fulfil a condition; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self._vehicles), timeout)

    def close(self) -> None:
        """Stop listening."""
        self._background.close()

    def _on_tip(self, message: msg.Tip) -> None:
        if is_vehicle_name(message.name):  # else not one of ours: anybody may publish here
            self.watch(message.name)

    def _hear(self, name: str, message: msg.VehicleStatus) -> None:
        try:
            status = observed_status(message, name)
        except FieldError:
            return
        with self._changed:
            self._vehicles[name] = status
            self._changed.notify_all()
        if self._on_status is not None:
            self._on_status(status)


def listen(
    seconds: float, enough: Callable[[Statuses], bool] = lambda _: False
) -> dict[str, VehicleStatus]:
    """The status of every vehicle heard within `seconds`, by name; sooner where it is `enough`."""
    with closing(FleetMonitor()) as monitor:
        monitor.wait(enough, seconds)
        return {name: status for name, status in monitor.vehicles.items() if status}
