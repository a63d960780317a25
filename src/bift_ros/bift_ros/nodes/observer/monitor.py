"""Listens to a fleet and says what it knows, without ROS types: for consoles and reports."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from bift_msgs.msg import Tip, VehicleStatus

from bift_ros.identity.vehicle_names import is_vehicle_name
from bift_ros.nodes import qos
from bift_ros.nodes.background_node import BackgroundNode

_FIELDS = tuple(name for name in VehicleStatus.get_fields_and_field_types() if name != "stamp")


def as_dict(message: VehicleStatus) -> dict[str, Any]:
    """A status message as plain values."""
    values = {name: getattr(message, name) for name in _FIELDS}
    values["class_samples"] = list(values["class_samples"])  # from an array
    return values


class FleetMonitor:
    """Subscribes to every vehicle's status and tips, on a thread and ROS context of its own.

    Vehicles are found by their tips, which are latched. Reads are safe from any thread.
    """

    def __init__(self, on_status: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._on_status = on_status
        self._changed = threading.Condition()
        self._vehicles: dict[str, dict[str, Any]] = {}
        self._providers: dict[str, str] = {}
        self._background = BackgroundNode("bift_monitor")
        self._node = self._background.node
        self._node.create_subscription(Tip, "/bift/tips", self._on_tip, qos.FLEET_READER)
        self._background.start()

    def watch(self, name: str) -> None:
        """Subscribe to one vehicle's status, whether or not its tip has been heard."""
        with self._changed:
            if name in self._vehicles:
                return
            self._vehicles[name] = {}
        self._node.create_subscription(
            VehicleStatus, f"/{name}/status", self._on_vehicle_status, qos.STATUS
        )

    def forget(self, name: str) -> None:
        """Take back what a vehicle said: it is gone, and has not spoken until it does again."""
        with self._changed:
            self._vehicles[name] = {}

    @property
    def vehicles(self) -> dict[str, dict[str, Any]]:
        """The newest status of every vehicle heard of, by name; empty until it has spoken."""
        with self._changed:
            return dict(sorted(self._vehicles.items()))

    @property
    def providers(self) -> tuple[str, ...]:
        """The gateways of all vehicles."""
        with self._changed:
            return tuple(self._providers.values())

    def wait(self, condition: Callable[[dict[str, dict[str, Any]]], bool], timeout: float) -> bool:
        """Wait until the vehicles' statuses fulfil a condition; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self._vehicles), timeout)

    def close(self) -> None:
        """Stop listening."""
        self._background.close()

    def _on_tip(self, message: Tip) -> None:
        if not is_vehicle_name(message.name):
            return  # not one of ours: anybody may publish here
        with self._changed:
            self._providers[message.peer] = message.provider
        self.watch(message.name)

    def _on_vehicle_status(self, message: VehicleStatus) -> None:
        status = as_dict(message)
        with self._changed:
            self._vehicles[message.name] = status
            self._changed.notify_all()
        if self._on_status is not None:
            self._on_status(status)


def listen(
    seconds: float, enough: Callable[[dict[str, dict[str, Any]]], bool] = lambda _: False
) -> dict[str, dict[str, Any]]:
    """The status of every vehicle heard within `seconds`, by name; sooner where it is `enough`."""
    monitor = FleetMonitor()
    try:
        monitor.wait(enough, seconds)
        return {name: status for name, status in monitor.vehicles.items() if status}
    finally:
        monitor.close()
