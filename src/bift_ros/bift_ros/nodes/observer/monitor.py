"""Listens to a fleet and says what it knows, without ROS types: for consoles and reports."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial

from bift_msgs import msg

from bift_ros.consensus.exceptions import ChainError, FieldError
from bift_ros.consensus.genesis import MAX_MEMBERS
from bift_ros.monitoring.status import ChainStatus, Statuses, VehicleStatus
from bift_ros.monitoring.view import ObservedTip
from bift_ros.nodes import qos
from bift_ros.nodes.background_node import BackgroundNode
from bift_ros.nodes.buses import Bus
from bift_ros.nodes.observer.observations import observed_status, observed_tip

ELSEWHERE = "elsewhere"
"""The state of a vehicle that is heard on the fleet's bus alone: its status stays on its own."""


class FleetMonitor:
    """Subscribes to every vehicle's tips and status, on threads and ROS contexts of its own.

    Vehicles are found by their tips, which are latched, on the fleet's bus. A status comes only
    from those whose own bus this process shares. Reads are safe from any thread.
    """

    def __init__(self, on_status: Callable[[VehicleStatus], None] | None = None) -> None:
        self._on_status = on_status
        self._changed = threading.Condition()
        self._vehicles: dict[str, VehicleStatus | None] = {}
        self._tips: dict[str, ObservedTip] = {}
        self._own = BackgroundNode(Bus.OWN, "bift_monitor")
        self._fleet = BackgroundNode(Bus.FLEET, "bift_monitor")
        self._fleet.node.create_subscription(msg.Tip, "/bift/tips", self._on_tip, qos.FLEET_READER)
        self._own.start()
        self._fleet.start()

    def watch(self, name: str) -> None:
        """Subscribe to one vehicle's status, whether or not its tip has been heard."""
        with self._changed:
            if name in self._vehicles:
                return
            self._vehicles[name] = None
        self._own.node.create_subscription(
            msg.VehicleStatus, f"/{name}/status", partial(self._hear, name), qos.STATUS
        )

    @property
    def vehicles(self) -> dict[str, VehicleStatus | None]:
        """The newest status of every vehicle heard of, by name; None until it has spoken."""
        with self._changed:
            return dict(sorted(self._vehicles.items()))

    @property
    def told(self) -> dict[str, VehicleStatus]:
        """Every vehicle heard of, by name; of one elsewhere what its tip says, unchecked."""
        with self._changed:
            tips = {
                n: self._tips[n] for n, s in self._vehicles.items() if s is None and n in self._tips
            }
            spoken = {name: status for name, status in self._vehicles.items() if status}
        elsewhere = {
            name: VehicleStatus(
                name, tip.address, ELSEWHERE, chain=ChainStatus(height=tip.height, tip=tip.hash)
            )
            for name, tip in tips.items()
        }
        return dict(sorted((spoken | elsewhere).items()))

    def wait(self, condition: Callable[[Statuses], bool], timeout: float) -> bool:
        """Wait until the vehicles' statuses fulfil a condition; False after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self._vehicles), timeout)

    def close(self) -> None:
        """Stop listening."""
        self._fleet.close()
        self._own.close()

    def _on_tip(self, message: msg.Tip) -> None:
        try:
            tip = observed_tip(message)
        except ChainError:
            return  # not one of ours: anybody may publish here
        if tip.name not in self._vehicles and len(self._vehicles) >= MAX_MEMBERS:
            return
        self.watch(tip.name)
        with self._changed:
            self._tips[tip.name] = tip
            self._changed.notify_all()

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
